//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fresh is a driver without volumes.
func fresh(t *testing.T) driver {
	t.Helper()
	d := driver{root: t.TempDir()}
	for _, kind := range []string{volumes, snapshots} {
		if err := os.Mkdir(filepath.Join(d.root, kind), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestASnapshotHoldsWhatTheVolumeHeld(t *testing.T) {
	d := fresh(t)
	ctx := t.Context()
	if _, err := d.CreateVolume(ctx, &csi.CreateVolumeRequest{Name: "pvc-1"}); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(d.root, volumes, "pvc-1", "base")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(inside, "1"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	write("before")
	if err := os.Symlink("1", filepath.Join(inside, "link")); err != nil {
		t.Fatal(err)
	}
	ask := &csi.CreateSnapshotRequest{Name: "snapshot-1", SourceVolumeId: "pvc-1"}
	first, err := d.CreateSnapshot(ctx, ask)
	if err != nil || !first.GetSnapshot().GetReadyToUse() || first.GetSnapshot().GetSizeBytes() != int64(len("before")) {
		t.Fatalf("%+v, %v", first, err)
	}

	// Asked again it is the same, and what is written later is not in it.
	write("afterwards")
	again, err := d.CreateSnapshot(ctx, ask)
	if err != nil || !again.GetSnapshot().GetCreationTime().AsTime().Equal(first.GetSnapshot().GetCreationTime().AsTime()) {
		t.Errorf("again %+v, %v", again, err)
	}
	source := &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: "snapshot-1"}}}
	if _, err := d.CreateVolume(ctx, &csi.CreateVolumeRequest{Name: "pvc-2", VolumeContentSource: source}); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(d.root, volumes, "pvc-2", "base")
	if content, err := os.ReadFile(filepath.Join(restored, "link")); err != nil || string(content) != "before" {
		t.Errorf("restored %q, %v", content, err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, "1": 0o600} {
		if info, err := os.Stat(filepath.Join(restored, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}

	// Removed, nothing is made of it.
	if _, err := d.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: "snapshot-1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateVolume(ctx, &csi.CreateVolumeRequest{Name: "pvc-3", VolumeContentSource: source}); status.Code(err) != codes.NotFound {
		t.Errorf("a volume of no snapshot: %v", err)
	}
}

// TestACopyThatWasNotWrittenDown: the driver was killed between the two.
func TestACopyThatWasNotWrittenDown(t *testing.T) {
	d := fresh(t)
	if _, err := d.CreateVolume(t.Context(), &csi.CreateVolumeRequest{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(d.root, snapshots, "s", "left")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what was left is in the snapshot: %v", err)
	}
}

func TestASnapshotHasOneSource(t *testing.T) {
	d := fresh(t)
	for _, name := range []string{"a", "b"} {
		if _, err := d.CreateVolume(t.Context(), &csi.CreateVolumeRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: "b"}); status.Code(err) != codes.AlreadyExists {
		t.Errorf("of another volume: %v", err)
	}
	if _, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "t", SourceVolumeId: "c"}); err == nil {
		t.Error("of a volume that is not there")
	}
}

func TestNamesStayInside(t *testing.T) {
	d := fresh(t)
	for _, id := range []string{"", ".", "..", "../volumes", "a/b"} {
		if _, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q: %v", id, err)
		}
	}
}
