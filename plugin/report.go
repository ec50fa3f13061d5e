package plugin

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func reportCommand(s *session) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "report NAME",
		Short: "One archive with all that a bug report needs, and no secret",
		Long: `Writes an archive with the Microservice, its releases and approvals, what the operator has made for it, its pods and the
events. Secrets are not read; values of environment variables and annotations of other tools are left out. What you may not read is
named in errors.txt. Look into the archive before you hand it on: names of hosts, images and people are in it.`,
		GroupID: groupWatch,
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				file = args[0] + "-" + s.now().UTC().Format("20060102-150405") + ".tar.gz"
			}
			return s.report(cmd.Context(), args[0], file)
		},
	}
	cmd.Flags().StringVarP(&file, "filename", "f", "", "the archive to write; it must not exist (default NAME-TIME.tar.gz)")
	return cmd
}

func (s *session) report(ctx context.Context, name, file string) (err error) {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = os.Remove(file) // half an archive helps nobody
		}
	}()
	documents, problems := c.collect(ctx, ms, s.version)
	if err := archive(out, documents, s.now()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	text := fmt.Sprintf("%s holds %s. Look into it before you hand it on.\n", file, count(len(documents), "file"))
	if problems > 0 {
		text += fmt.Sprintf("%s could not be read; errors.txt in it names them.\n", count(problems, "thing"))
	}
	return s.say(text)
}

// document is one file of the archive.
type document struct {
	name string
	data []byte
}

// collect reads all that belongs to a Microservice, and notes what it could not read.
func (c *cluster) collect(ctx context.Context, ms *v1alpha1.Microservice, version string) (documents []document, problems int) {
	var failed []string
	add := func(name string, value any, err error) {
		encoded, yerr := yaml.Marshal(value)
		if err == nil {
			err = yerr
		}
		if err != nil {
			failed = append(failed, name+": "+plain(err))
			return
		}
		documents = append(documents, document{name, encoded})
	}
	redact(ms)
	add("microservice.yaml", ms, nil)
	releases, err := c.releases(ctx, ms)
	for i := range releases {
		redact(&releases[i])
	}
	add("releases.yaml", releases, err)
	found, err := c.versions(ctx, version)
	add("versions.yaml", found, err)
	c.collectList(ctx, add, "events.yaml", &corev1.EventList{}, client.InNamespace(ms.Namespace))
	for _, e := range ms.Spec.Environments {
		own := client.MatchingLabels{v1alpha1.LabelMicroservice: ms.Name, v1alpha1.LabelMicroserviceNamespace: ms.Namespace}
		for name, list := range map[string]client.ObjectList{
			"deployments": &appsv1.DeploymentList{}, "pods": &corev1.PodList{}, "jobs": &batchv1.JobList{}, "services": &corev1.ServiceList{},
			"configmaps": &corev1.ConfigMapList{},
		} {
			c.collectList(ctx, add, e.Name+"/"+name+".yaml", list, client.InNamespace(e.Namespace), own)
		}
		c.collectList(ctx, add, e.Name+"/events.yaml", &corev1.EventList{}, client.InNamespace(e.Namespace))
		c.collectList(ctx, add, e.Name+"/approvals.yaml", &v1alpha1.ApprovalList{}, client.InNamespace(e.Namespace))
	}
	if len(failed) > 0 {
		documents = append(documents, document{"errors.txt", []byte(strings.Join(failed, "\n") + "\n")})
	}
	return documents, len(failed)
}

func (c *cluster) collectList(ctx context.Context, add func(string, any, error), name string, list client.ObjectList, options ...client.ListOption) {
	err := c.List(ctx, list, options...)
	if err == nil {
		err = meta.EachListItem(list, func(item runtime.Object) error {
			if object, ok := item.(client.Object); ok {
				redact(object)
			}
			return nil
		})
	}
	if apierrors.IsNotFound(err) {
		return
	}
	add(name, list, err)
}

// redact removes what may be confidential, and what nobody reads. Secrets are only referred to, and never read.
func redact(object client.Object) {
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	for key := range annotations {
		if !strings.HasPrefix(key, v1alpha1.GroupVersion.Group+"/") {
			delete(annotations, key)
		}
	}
	switch o := object.(type) {
	case *v1alpha1.Microservice:
		hideVariables(&o.Spec.Workload)
		for i := range o.Spec.Environments {
			if overrides := o.Spec.Environments[i].Overrides; overrides != nil {
				hideVariables(overrides.Workload)
			}
		}
	case *v1alpha1.Release:
		hideVariables(&o.Spec.Workload)
		for i := range o.Spec.Overrides {
			hideVariables(o.Spec.Overrides[i].Workload)
		}
	case *appsv1.Deployment:
		hideInPod(&o.Spec.Template.Spec)
	case *batchv1.Job:
		hideInPod(&o.Spec.Template.Spec)
	case *corev1.Pod:
		hideInPod(&o.Spec)
	}
}

// hidden stands for a value that was left out.
const hidden = "(left out)"

func hideVariables(workload *v1alpha1.WorkloadSpec) {
	if workload == nil {
		return
	}
	for i := range workload.Env {
		if workload.Env[i].Value != "" {
			workload.Env[i].Value = hidden
		}
	}
}

func hideInPod(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Env {
				if containers[i].Env[j].Value != "" {
					containers[i].Env[j].Value = hidden
				}
			}
		}
	}
}

func archive(out io.Writer, documents []document, now time.Time) error {
	zipped := gzip.NewWriter(out)
	files := tar.NewWriter(zipped)
	for _, d := range documents {
		header := &tar.Header{Name: d.name, Mode: 0o600, Size: int64(len(d.data)), ModTime: now, Typeflag: tar.TypeReg}
		if err := files.WriteHeader(header); err != nil {
			return err
		}
		if _, err := files.Write(d.data); err != nil {
			return err
		}
	}
	if err := files.Close(); err != nil {
		return err
	}
	return zipped.Close()
}
