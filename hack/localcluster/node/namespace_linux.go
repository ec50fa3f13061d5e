package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts gives the node a file system of its own where it writes outside of the state directory: /run, /var and /proc.
// The machine sees none of it, and it ends with the node.
func mounts(stateDir string) error {
	// Mounts must neither leave this namespace nor come in; between node and pods they may travel.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("taking the mounts private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing the mounts with pods: %w", err)
	}
	// The state directory may itself lie below one of the directories that are covered, so it is held by descriptor.
	held, err := unix.Open(stateDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the state directory: %w", err)
	}
	defer func() { _ = unix.Close(held) }()
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("covering /run: %w", err)
	}
	if err := bind(fmt.Sprintf("/proc/self/fd/%d", held), root); err != nil {
		return err
	}
	if err := coverVar(); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc for the node's processes: %w", err)
	}
	return pinKernelSettings()
}

// coverVar lays a writable cover over /var, which keeps what the machine has there readable, and puts the big
// directories into the state directory, as the cover is kept in memory.
func coverVar() error {
	const cover = "/run/var"
	for _, dir := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(cover, dir), 0o755); err != nil {
			return fmt.Errorf("making the cover of /var: %w", err)
		}
	}
	options := "lowerdir=/var,upperdir=" + cover + "/upper,workdir=" + cover + "/work"
	if err := unix.Mount("overlay", "/var", "overlay", 0, options); err != nil {
		return fmt.Errorf("covering /var: %w", err)
	}
	for target, source := range map[string]string{
		"/var/lib/containerd": "containerd",
		"/var/lib/kubelet":    "kubelet",
		"/var/log/pods":       "logs/pods",
	} {
		if err := bind(inside(source), target); err != nil {
			return err
		}
	}
	return nil
}

func bind(source, target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("making a mount point: %w", err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting at %s: %w", target, err)
	}
	return nil
}

// kernelSettings are what the kubelet wants of the kernel. They hold for the whole machine, so the kubelet finds them
// set as it likes, in files laid over the real ones, and has nothing to change.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

func pinKernelSettings() error {
	for name, value := range kernelSettings {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
			continue // a kernel without this part has nothing to change
		}
		file := filepath.Join("/run/kernel-settings", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("keeping kernel settings: %w", err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("keeping kernel settings: %w", err)
		}
		if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keeping the machine's %s: %w", name, err)
		}
	}
	return nil
}

// network gives the node's end of the link its address. There is no default route: what is outside cannot be reached,
// and a program that tries is told so at once.
func network(ctx context.Context, s Settings) error {
	address := fmt.Sprintf("%s/%d", s.NodeIP, s.Link.Bits())
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", address, "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		// Whoever calls a Service from the node itself, as the API server calls webhooks, is sent to a pod by kube-proxy on the way out;
		// without a route there is no way out.
		{"route", "add", s.Services.String(), "dev", "eth0"},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("setting the node's addresses: ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("letting the node forward packets: %w", err)
	}
	return nil
}
