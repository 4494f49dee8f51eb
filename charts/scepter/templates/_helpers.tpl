{{- /* Labels by which the operator's pods are selected. */ -}}
{{- define "scepter.selector" -}}
app.kubernetes.io/name: scepter
app.kubernetes.io/component: operator
{{- end }}

{{- /* Labels of everything that the chart installs. */ -}}
{{- define "scepter.labels" -}}
{{ include "scepter.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* An image: (list $ values). */ -}}
{{- define "scepter.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{- /* An object out of files/, with the chart's labels: (list $ path). */ -}}
{{- define "scepter.object" -}}
{{- $root := index . 0 }}
{{- $object := $root.Files.Get (index . 1) | fromYaml }}
{{- $labels := include "scepter.labels" $root | fromYaml }}
{{- $_ := set $object.metadata "labels" (merge (dict) ($object.metadata.labels | default dict) $labels) }}
{{- toYaml $object }}
{{- end }}
