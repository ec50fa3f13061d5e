//go:build linux

// Command directory is a CSI driver whose volumes are directories of one node and whose snapshots are copies of them: enough for the
// provisioner and the snapshotter of Kubernetes to be tried with, without a storage that has either.
//
// A copy takes a while. It is of one moment only if nobody writes meanwhile, or the database has said that it is being copied.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// name by which StorageClasses and VolumeSnapshotClasses ask for this driver.
const name = "directory.localcluster.mirubato.com"

func main() {
	root := flag.String("root", "/csi-data", "directory of volumes and snapshots")
	socket := flag.String("socket", "/csi/csi.sock", "where the driver listens")
	plugins := flag.String("plugins", "/registration", "directory in which the kubelet looks for drivers")
	inside := flag.String("kubelet-socket", "", "the socket as the kubelet sees it")
	node := flag.String("node", os.Getenv("NODE_NAME"), "name of the node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, driver{root: *root, node: *node}, *socket, filepath.Join(*plugins, name+"-reg.sock"), *inside); err != nil {
		log.Fatal(err)
	}
}

// run serves the driver, and tells the kubelet of it, until ctx ends.
func run(ctx context.Context, d driver, socket, plugin, inside string) error {
	for _, kind := range []string{volumes, snapshots} {
		if err := os.MkdirAll(filepath.Join(d.root, kind), 0o755); err != nil {
			return err
		}
	}
	serving := grpc.NewServer(grpc.UnaryInterceptor(told))
	csi.RegisterIdentityServer(serving, d)
	csi.RegisterControllerServer(serving, d)
	csi.RegisterNodeServer(serving, d)
	known := grpc.NewServer()
	registration.RegisterRegistrationServer(known, kubelet{endpoint: inside})
	ended := make(chan error, 2)
	for path, server := range map[string]*grpc.Server{socket: serving, plugin: known} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
		if err != nil {
			return err
		}
		go func() { ended <- server.Serve(listener) }()
		defer server.Stop()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// told writes down what could not be done: the answer goes to a program that says less.
func told(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	answer, err := handle(ctx, request)
	if err != nil {
		log.Printf("%s: %v", info.FullMethod, err)
	}
	return answer, err
}

// kubelet is told where the driver listens.
type kubelet struct {
	registration.UnimplementedRegistrationServer
	endpoint string
}

func (k kubelet) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: name, Endpoint: k.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

func (k kubelet) NotifyRegistrationStatus(_ context.Context, s *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !s.PluginRegistered {
		return nil, fmt.Errorf("the kubelet refuses the driver: %s", s.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}
