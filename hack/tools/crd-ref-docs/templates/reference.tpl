{{- define "gvList" -}}
# Reference of the API

Every field of the objects, generated from [the types](../api); `kubectl explain microservice.spec` shows the same texts. What changing a field of
[MicroserviceSpec](#microservicespec) costs stands with its group. Settings have [a page of their own](settings.md).
{{ range . }}{{ template "gvDetails" . }}{{ end }}
{{- end -}}

{{- define "gvDetails" -}}
{{ if .Kinds }}
Objects of `{{ .GroupVersionString }}`: {{ range $i, $kind := .SortedKinds }}{{ if $i }}, {{ end }}{{ $.TypeForKind $kind | markdownRenderTypeLink }}{{ end }}.
{{ end -}}
{{ range .SortedTypes }}{{ template "type" . }}{{ end }}
{{- end -}}

{{- define "type" -}}
{{ if markdownShouldRenderType . }}
## {{ .Name }}

{{ .Doc }}
{{ if .References }}
Part of {{ range $i, $user := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $user }}{{ end }}.
{{ end -}}
{{- if .EnumValues }}
One of {{ range $i, $value := .EnumValues }}{{ if $i }}, {{ end }}`{{ $value.Name }}`{{ end }}.
{{ end -}}
{{- if .Members }}
| Field | Meaning | Bounds |
| --- | --- | --- |
{{ if .GVK }}| `apiVersion` | `{{ .GVK.Group }}/{{ .GVK.Version }}` | |
| `kind` | `{{ .GVK.Kind }}` | |
{{ end -}}
{{ range .Members -}}
| `{{ .Name }}` {{ markdownRenderType .Type }} | {{ template "type_members" . }}{{ with markdownRenderDefault .Default }} Default: {{ . }}.{{ end }} | {{ template "bounds" . }} |
{{ end -}}
{{ end -}}
{{ end -}}
{{- end -}}

{{- define "type_members" -}}
{{ if eq .Name "metadata" }}as of every object{{ else }}{{ markdownRenderFieldDoc .Doc }}{{ end }}
{{- end -}}

{{- define "bounds" -}}
{{- $bounds := list -}}
{{- range .Validation -}}
{{- if hasPrefix "Required" . -}}
{{- $bounds = append $bounds "required" -}}
{{- else if not (hasSuffix "{}" .) -}}
{{- $bounds = append $bounds (markdownRenderFieldDoc .) -}}
{{- end -}}
{{- end -}}
{{- join ", " $bounds -}}
{{- end -}}
