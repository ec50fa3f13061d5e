// Command foreign brings into the local cluster what makes backups that are not ours: CloudNativePG, and a storage with Kubernetes'
// controllers of VolumeSnapshots. They are built from their Go modules, in the versions that cnpg and csi name, and are what people run; only the
// driver of the storage, in directory, is ours. foreign up installs them, foreign down takes them away.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/postgres"
	"github.com/mirubato/mirubato/hack/images/program"
	recipes "github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

//go:embed manifests
var manifests embed.FS

func main() {
	log.SetLogger(logr.Discard()) // what the client library says beside its errors is of no use to a person waiting
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "foreign: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 || (args[0] != "up" && args[0] != "down") {
		return errors.New("say up or down")
	}
	dir, err := state.Find(".")
	if err != nil {
		return err
	}
	c, err := manifest.Client(dir.Kubeconfig())
	if err != nil {
		return err
	}
	f := foreign{dir: dir, client: c}
	if args[0] == "down" {
		return f.down(ctx)
	}
	return f.up(ctx)
}

type foreign struct {
	dir    state.Dir
	client client.Client
}

// The modules that are built, and those that their manifests come from.
const (
	cnpg        = "github.com/cloudnative-pg/cloudnative-pg"
	snapshotter = "github.com/kubernetes-csi/external-snapshotter/v8"
	snapshots   = "github.com/kubernetes-csi/external-snapshotter/client/v8"
	provisioner = "github.com/kubernetes-csi/external-provisioner/v6"
)

// Directories below hack of the modules that say which versions are built.
const (
	pinsCNPG = "foreign/cnpg"
	pinsCSI  = "foreign/csi"
)

// source is a package, and the directory below hack of the module that knows it.
type source struct{ module, pkg string }

// cnpgImage is how the manifest of CloudNativePG names its image, wherever that is published.
var cnpgImage = regexp.MustCompile(`[\w.-]+/cloudnative-pg/cloudnative-pg:[\w.-]+`)

// storageClass of the volumes that can be snapshotted, as the manifest says.
const storageClass = "snapshottable"

// installTimeout bounds how long a Deployment may take to run.
const installTimeout = 3 * time.Minute

func (f foreign) up(ctx context.Context) error {
	images, err := f.images(ctx)
	if err != nil {
		return err
	}
	objects, err := f.objects(ctx, images)
	if err != nil {
		return err
	}
	for _, some := range objects {
		err := manifest.Wait(ctx, installTimeout, "the kinds to be known", func(ctx context.Context) (bool, error) {
			return true, manifest.Apply(ctx, f.client, some)
		})
		if err != nil {
			return err
		}
		for _, object := range some {
			if object.GetKind() == "Deployment" {
				if err := f.await(ctx, client.ObjectKeyFromObject(object)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// down takes away the controllers and their kinds, and with the kinds all that is left of them.
func (f foreign) down(ctx context.Context) error {
	if err := f.awaitEmpty(ctx); err != nil {
		return err
	}
	objects, err := f.objects(ctx, images{})
	if err != nil {
		return err
	}
	for i := len(objects) - 1; i >= 0; i-- {
		for j := len(objects[i]) - 1; j >= 0; j-- {
			if err := f.client.Delete(ctx, objects[i][j]); client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
				return fmt.Errorf("removing %s %s: %w", objects[i][j].GetKind(), objects[i][j].GetName(), err)
			}
		}
	}
	return nil
}

// awaitEmpty returns when no volume is left: only the driver takes them away.
func (f foreign) awaitEmpty(ctx context.Context) error {
	return manifest.Wait(ctx, installTimeout, "the volumes of "+storageClass+" to be gone; remove the claims that hold them", func(ctx context.Context) (bool, error) {
		var all corev1.PersistentVolumeList
		if err := f.client.List(ctx, &all); err != nil {
			return false, err
		}
		return !slices.ContainsFunc(all.Items, func(v corev1.PersistentVolume) bool { return v.Spec.StorageClassName == storageClass }), nil
	})
}

// images are those of the controllers, as they were loaded.
type images struct{ cnpg, volumes archive.Identity }

// images are built, packed and loaded.
func (f foreign) images(ctx context.Context) (images, error) {
	server, err := serverImage(ctx)
	if err != nil {
		return images{}, err
	}
	var out images
	var archives []string
	for _, one := range []struct {
		recipe
		identity *archive.Identity
	}{{operatorImage(), &out.cnpg}, {volumesImage(), &out.volumes}, {server, new(archive.Identity)}} {
		path, err := f.pack(ctx, one.recipe)
		if err != nil {
			return images{}, err
		}
		identities, err := archive.Identify(path)
		if err != nil {
			return images{}, err
		}
		*one.identity = identities[0]
		archives = append(archives, path)
	}
	load := exec.CommandContext(ctx, f.dir.Bin("localcluster"), append([]string{"load"}, archives...)...)
	load.Stdout, load.Stderr = os.Stdout, os.Stderr
	return out, load.Run()
}

// recipe is an image, and the programs that are built for it, by their names in its root.
type recipe struct {
	name, tag string
	image     archive.Image
	programs  map[string]source
}

func operatorImage() recipe {
	return recipe{
		name: "foreign-cnpg", tag: "1", programs: map[string]source{"manager": {pinsCNPG, cnpg + "/cmd/manager"}},
		image: archive.Image{
			Entrypoint: []string{"/manager"}, User: "65532:65532",
			// It looks in this directory for which machines it can run on.
			Files: []archive.File{{Path: "/operator/manager_" + runtime.GOARCH, Target: "../manager"}},
		},
	}
}

func volumesImage() recipe {
	return recipe{
		name: "foreign-volumes", tag: "1", image: archive.Image{Entrypoint: []string{"/directory"}, User: "65532:65532"},
		programs: map[string]source{
			"snapshot-controller": {pinsCSI, snapshotter + "/cmd/snapshot-controller"},
			"csi-snapshotter":     {pinsCSI, snapshotter + "/cmd/csi-snapshotter"},
			"csi-provisioner":     {pinsCSI, provisioner + "/cmd/csi-provisioner"},
			"directory":           {".", "./foreign/directory"},
		},
	}
}

// serverImage has what CloudNativePG asks of an image, which it starts by a program of its own. It reads the version from the tag.
func serverImage(ctx context.Context) (recipe, error) {
	installation, err := postgres.Find("/")
	if err != nil {
		return recipe{}, err
	}
	programs := append([]string{"pg_ctl", "pg_controldata", "pg_basebackup", "pg_rewind", "pg_dump", "pg_restore"}, postgres.Server...)
	files, err := installation.Files(ctx, programs)
	if err != nil {
		return recipe{}, err
	}
	return recipe{name: "foreign-postgres", tag: strconv.Itoa(installation.Major), image: archive.Image{
		Entrypoint: []string{"postgres"}, User: fmt.Sprintf("%d:%d", postgres.UID, postgres.UID),
		Environment: []string{"PATH=" + installation.Bin() + ":/usr/bin", "LANG=C.UTF-8"}, Files: files,
	}}, nil
}

// pack builds the programs of an image and returns the path of its archive.
func (f foreign) pack(ctx context.Context, r recipe) (string, error) {
	for name, source := range r.programs {
		output := filepath.Join(f.dir.Images(), ".programs", "foreign", name)
		fmt.Printf("building %s: minutes the first time, then seconds\n", name)
		p := program.Program{Dir: f.dir.Sources(source.module), Package: source.pkg, Output: output}
		if err := program.Build(ctx, p); err != nil {
			return "", err
		}
		r.image.Files = append(r.image.Files, archive.File{Path: "/" + name, Source: output, Mode: 0o755})
	}
	result, err := recipes.Pack(recipes.Options{Out: f.dir.Images(), Version: r.tag}, r.name, r.image)
	return result.Path, err
}

// objects are the kinds of snapshots, the storage, and CloudNativePG, which looks for snapshots when it starts.
func (f foreign) objects(ctx context.Context, images images) ([][]*unstructured.Unstructured, error) {
	kinds, err := f.module(ctx, pinsCSI, snapshots)
	if err != nil {
		return nil, err
	}
	crds, err := manifest.Render(os.DirFS(filepath.Join(kinds, "config", "crd")), "*snapshot.storage.k8s.io_*.yaml", nil)
	if err != nil {
		return nil, err
	}
	volumes, err := manifest.Render(manifests, "manifests/*.yaml", map[string]string{
		"VolumesImage": images.volumes.Name, "VolumesDigest": images.volumes.Digest,
	})
	if err != nil {
		return nil, err
	}
	operator, err := f.operator(ctx, images.cnpg)
	if err != nil {
		return nil, err
	}
	return [][]*unstructured.Unstructured{crds, volumes, operator}, nil
}

// operator are the objects of CloudNativePG as its release has them, with the image that was built.
func (f foreign) operator(ctx context.Context, image archive.Identity) ([]*unstructured.Unstructured, error) {
	dir, err := f.module(ctx, pinsCNPG, cnpg)
	if err != nil {
		return nil, err
	}
	_, version, _ := strings.Cut(filepath.Base(dir), "@v")
	text, err := os.ReadFile(filepath.Join(dir, "releases", "cnpg-"+version+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of CloudNativePG: %w", err)
	}
	if !cnpgImage.Match(text) {
		return nil, fmt.Errorf("the manifest of CloudNativePG %s names no image that matches %s", version, cnpgImage)
	}
	text = cnpgImage.ReplaceAll(text, []byte(image.Name))
	text = bytes.ReplaceAll(text, []byte("imagePullPolicy: Always"), []byte("imagePullPolicy: Never"))
	objects, err := manifest.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("decoding the manifest of CloudNativePG: %w", err)
	}
	return objects, nil
}

// module is the directory of a module in the version that pins names.
func (f foreign) module(ctx context.Context, pins, path string) (string, error) {
	for _, args := range [][]string{{"mod", "download", path}, {"list", "-m", "-f", "{{.Dir}}", path}} {
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir, command.Stderr = f.dir.Sources(pins), os.Stderr
		command.Env = append(os.Environ(), "GOWORK=off")
		out, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("looking for the module %s: %w", path, err)
		}
		if args[0] == "list" {
			return strings.TrimSpace(string(out)), nil
		}
	}
	return "", nil
}

// await returns when a Deployment runs as it was applied.
func (f foreign) await(ctx context.Context, key client.ObjectKey) error {
	return manifest.Wait(ctx, installTimeout, key.String(), func(ctx context.Context) (bool, error) {
		var d appsv1.Deployment
		if err := f.client.Get(ctx, key, &d); err != nil {
			return false, err
		}
		return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == 1 && d.Status.AvailableReplicas == 1, nil
	})
}
