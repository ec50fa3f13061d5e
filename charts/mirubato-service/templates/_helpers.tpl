{{- define "service.name" -}}
{{ .Values.name | default .Release.Name }}
{{- end -}}

{{- define "service.labels" -}}
app.kubernetes.io/name: {{ include "service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The label by which a namespace lets this Microservice in. */}}
{{- define "service.consent" -}}
consent.platform.mirubato.com/{{ .Release.Namespace }}.{{ include "service.name" . }}
{{- end -}}

{{- define "service.image" -}}
{{- with .Values.test.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}
