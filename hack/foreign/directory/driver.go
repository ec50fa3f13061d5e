//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Directories below the root of a driver.
const (
	volumes   = "volumes"
	snapshots = "snapshots"
)

// driver keeps volumes and snapshots as directories with the names that they are asked for by.
type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	root, node string
}

// taken is what is known of a snapshot. It is written last, so that a copy without it is none.
type taken struct {
	Source string    `json:"source"`
	Bytes  int64     `json:"bytes"`
	At     time.Time `json:"at"`
}

func (d driver) path(kind, id string) (string, error) {
	if id == "" || id != filepath.Base(id) || id == "." || id == ".." {
		return "", status.Errorf(codes.InvalidArgument, "%q is the name of nothing", id)
	}
	return filepath.Join(d.root, kind, id), nil
}

func (d driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: name, VendorVersion: "1"}, nil
}

func (d driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{{Type: &csi.PluginCapability_Service_{
		Service: &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE},
	}}}}, nil
}

func (d driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

func (d driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	out := &csi.ControllerGetCapabilitiesResponse{}
	for _, can := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME, csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
	} {
		out.Capabilities = append(out.Capabilities, &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{
			Rpc: &csi.ControllerServiceCapability_RPC{Type: can},
		}})
	}
	return out, nil
}

func (d driver) ValidateVolumeCapabilities(_ context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: r.GetVolumeCapabilities()},
	}, nil
}

// CreateVolume makes an empty directory, or a copy of a snapshot. Making it twice makes one.
func (d driver) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	path, err := d.path(volumes, r.GetName())
	if err != nil {
		return nil, err
	}
	for _, wanted := range r.GetVolumeCapabilities() {
		if wanted.GetBlock() != nil {
			return nil, status.Error(codes.InvalidArgument, "there are directories here, and no block devices")
		}
	}
	volume := &csi.Volume{VolumeId: r.GetName(), CapacityBytes: r.GetCapacityRange().GetRequiredBytes(), ContentSource: r.GetVolumeContentSource()}
	if _, err := os.Stat(path); err == nil {
		return &csi.CreateVolumeResponse{Volume: volume}, nil
	}
	if source := r.GetVolumeContentSource().GetSnapshot(); source != nil {
		from, err := d.path(snapshots, source.GetSnapshotId())
		if err != nil {
			return nil, err
		}
		if _, err := d.read(source.GetSnapshotId()); err != nil {
			return nil, status.Errorf(codes.NotFound, "there is no snapshot %s: %v", source.GetSnapshotId(), err)
		}
		if err := copyTree(from, path); err != nil {
			return nil, err
		}
	} else if err := os.Mkdir(path, 0o777); err != nil {
		return nil, err
	}
	// Pods that name no fsGroup run as any user and expect to write, as on a fresh disk.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: volume}, nil
}

func (d driver) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	path, err := d.path(volumes, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, os.RemoveAll(path)
}

// CreateSnapshot copies a volume. Asked again for one that is there, it tells of that.
func (d driver) CreateSnapshot(_ context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	path, err := d.path(snapshots, r.GetName())
	if err != nil {
		return nil, err
	}
	from, err := d.path(volumes, r.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	t, err := d.read(r.GetName())
	switch {
	case err == nil && t.Source != r.GetSourceVolumeId():
		return nil, status.Errorf(codes.AlreadyExists, "snapshot %s is of volume %s", r.GetName(), t.Source)
	case errors.Is(err, os.ErrNotExist):
		// A copy that was never written down is of whoever was killed before that.
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
		t = taken{Source: r.GetSourceVolumeId(), At: time.Now()}
		if err := copyTree(from, path); err != nil {
			return nil, err
		}
		if t.Bytes, err = size(path); err != nil {
			return nil, err
		}
		if err := write(path+".json", t); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	return &csi.CreateSnapshotResponse{Snapshot: &csi.Snapshot{
		SnapshotId: r.GetName(), SourceVolumeId: t.Source, SizeBytes: t.Bytes, CreationTime: timestamppb.New(t.At), ReadyToUse: true,
	}}, nil
}

func (d driver) DeleteSnapshot(_ context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	path, err := d.path(snapshots, r.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	return &csi.DeleteSnapshotResponse{}, errors.Join(os.RemoveAll(path+".json"), os.RemoveAll(path))
}

func (d driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (d driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// NodePublishVolume mounts the directory where the kubelet wants it.
func (d driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	path, err := d.path(volumes, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.GetTargetPath(), 0o750); err != nil {
		return nil, err
	}
	if mounted(r.GetTargetPath()) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := unix.Mount(path, r.GetTargetPath(), "", unix.MS_BIND, ""); err != nil {
		return nil, status.Errorf(codes.Internal, "mounting %s at %s: %v", path, r.GetTargetPath(), err)
	}
	if r.GetReadonly() {
		if err := unix.Mount("", r.GetTargetPath(), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return nil, status.Errorf(codes.Internal, "making %s read-only: %v", r.GetTargetPath(), err)
		}
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := unix.Unmount(r.GetTargetPath(), 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return nil, status.Errorf(codes.Internal, "unmounting %s: %v", r.GetTargetPath(), err)
	}
	if err := os.Remove(r.GetTargetPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// mounted reports whether another directory lies over this one.
func mounted(path string) bool {
	var here, above unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &here) != nil || unix.Statx(unix.AT_FDCWD, filepath.Dir(path), 0, unix.STATX_MNT_ID, &above) != nil {
		return false
	}
	return here.Mnt_id != above.Mnt_id
}

func (d driver) read(id string) (taken, error) {
	var out taken
	path, err := d.path(snapshots, id)
	if err != nil {
		return out, err
	}
	content, err := os.ReadFile(path + ".json")
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(content, &out)
}

func write(path string, t taken) error {
	content, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
