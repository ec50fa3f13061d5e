{{- /* Names are fixed: a second operator in one namespace would share the Lease of the first, so Helm shall refuse it. What lies in no
namespace is named after the release's if the operator is limited, so that each team may have one. */}}
{{- define "operator.suffix" -}}
{{- if .Values.namespaces }}-{{ .Release.Namespace }}{{ end -}}
{{- end -}}

{{- define "operator.labels" -}}
app.kubernetes.io/name: mirubato-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* An image's name, of the dict image and appVersion. */}}
{{- define "operator.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .appVersion }}
{{- end -}}
{{- end -}}

{{- /* Three quarters of the memory limit, so that the garbage collector works harder before the kernel acts: the program itself comes on top. */}}
{{- define "operator.memory" -}}
{{- $limit := dig "limits" "memory" "" (.Values.resources | default dict) | toString -}}
{{- if regexMatch "^[0-9]+Mi$" $limit -}}
{{ div (mul 3 (trimSuffix "Mi" $limit | atoi)) 4 }}MiB
{{- else if regexMatch "^[0-9]+Gi$" $limit -}}
{{ div (mul 3072 (trimSuffix "Gi" $limit | atoi)) 4 }}MiB
{{- end -}}
{{- end -}}

{{- define "operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "operator.subjects" -}}
- kind: ServiceAccount
  name: mirubato-operator
  namespace: {{ .Release.Namespace }}
{{- end -}}
