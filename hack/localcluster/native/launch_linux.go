package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mirubato/mirubato/hack/localcluster/binaries"
	"github.com/mirubato/mirubato/hack/localcluster/machine"
	"github.com/mirubato/mirubato/hack/localcluster/node"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// launch writes the files of a node and starts its first process in new namespaces. The process waits until the link
// to its network namespace is laid; should this fail, it ends by itself.
func (c Cluster) launch(ctx context.Context) (state.Record, error) {
	ranges, err := machine.Free(ctx)
	if err != nil {
		return state.Record{}, err
	}
	settings := node.Settings{
		NodeIP: ranges.NodeIP(), MachineIP: ranges.MachineIP(), Link: ranges.Link,
		Pods: ranges.Pods, Services: ranges.Services, Cgroup: machine.Cgroup,
	}
	if err := machine.MakeCgroup(); err != nil {
		return state.Record{}, err
	}
	if err := node.Write(c.Dir, settings); err != nil {
		return state.Record{}, err
	}
	// The node outlives this program, which may be a temporary file.
	program := c.Dir.Cluster("localcluster")
	if err := copyExecutable(program); err != nil {
		return state.Record{}, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return state.Record{}, fmt.Errorf("making a pipe to the node: %w", err)
	}
	defer writer.Close()
	process, err := c.spawn(program, reader)
	_ = reader.Close() // it is the node's now
	if err != nil {
		return state.Record{}, err
	}
	record := state.Record{Provider: state.Native, Init: process, NodeIP: settings.NodeIP.String()}
	if err := c.Dir.Save(record); err != nil {
		return record, err
	}
	if err := machine.Connect(ctx, machine.Owner{PID: process.PID, Dir: string(c.Dir)}, ranges); err != nil {
		return record, err
	}
	if _, err := writer.Write([]byte{1}); err != nil {
		return record, fmt.Errorf("telling the node that it is connected: %w\n%s", err, c.tail("node"))
	}
	return record, nil
}

func (c Cluster) spawn(program string, connected *os.File) (state.Process, error) {
	output, err := os.OpenFile(c.logFile("node"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return state.Process{}, fmt.Errorf("opening the log of the node: %w", err)
	}
	defer output.Close()
	command := &exec.Cmd{ // not bound to a context: the node shall live on when this program ends
		Path:  program,
		Args:  []string{machine.NodeProcess, "node", "--state", string(c.Dir)},
		Env:   []string{"PATH=" + binaries.SearchPath, "HOME=/root"},
		Dir:   "/",
		Stdin: connected, Stdout: output, Stderr: output,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true,
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		},
	}
	if err := command.Start(); err != nil {
		return state.Process{}, fmt.Errorf("starting the node (are namespaces allowed here?): %w", err)
	}
	process, err := state.Identify(command.Process.Pid)
	if err != nil {
		return state.Process{}, fmt.Errorf("the node ended at once: %w\n%s", err, c.tail("node"))
	}
	return process, nil
}

func copyExecutable(target string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("opening this program: %w", err)
	}
	defer self.Close()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	_, err = io.Copy(file, self)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("copying this program: %w", err)
	}
	return nil
}

// answers tells whether the API server is ready. Its built-in roles are then in place.
func (c Cluster) answers(ctx context.Context) (bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Dir.Kubeconfig())
	if err != nil {
		return false, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false, fmt.Errorf("making a client: %w", err)
	}
	if _, err := api.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return false, fmt.Errorf("asking the API server whether it is ready: %w", err)
	}
	return true, nil
}

func (c Cluster) logFile(component string) string { return c.Dir.Cluster("logs", component+".log") }

// tail is the end of a component's log, for an error message.
func (c Cluster) tail(component string) string {
	const lines = 8
	data, err := os.ReadFile(c.logFile(component))
	if err != nil {
		return fmt.Sprintf("(its log cannot be read: %v)", err)
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return fmt.Sprintf("the end of %s:\n%s", c.logFile(component), strings.Join(all[max(0, len(all)-lines):], "\n"))
}

// Write implements io.Writer.
func (f lineWriter) Write(data []byte) (int, error) {
	for line := range bytes.Lines(data) {
		if text := bytes.TrimSpace(line); len(text) > 0 {
			f(string(text))
		}
	}
	return len(data), nil
}
