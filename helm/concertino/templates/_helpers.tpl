{{- define "concertino.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "concertino.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "concertino.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "concertino.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "concertino.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "concertino.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What selects the pods of one service. Takes root and name. */}}
{{- define "concertino.selector" -}}
app.kubernetes.io/name: {{ include "concertino.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{/* Every service as JSON: name, the kinds it serves, and its values over the defaults. */}}
{{- define "concertino.services" -}}
{{- $services := list -}}
{{- $orchestrator := mergeOverwrite (deepCopy .Values.defaults) (deepCopy .Values.orchestrator) -}}
{{- $services = append $services (dict "name" "orchestrator" "kinds" (list "plan") "worker" false "values" $orchestrator) -}}
{{- $synthesizer := mergeOverwrite (deepCopy .Values.defaults) (deepCopy .Values.synthesizer) -}}
{{- $services = append $services (dict "name" "synthesizer" "kinds" (list "synthesize") "worker" false "values" $synthesizer) -}}
{{- range $kind := keys .Values.workers | sortAlpha -}}
{{- $own := index $.Values.workers $kind -}}
{{- if $own -}}
{{- $worker := mergeOverwrite (deepCopy $.Values.defaults) (deepCopy $own) -}}
{{- $services = append $services (dict "name" $kind "kinds" (list $kind) "worker" true "values" $worker) -}}
{{- end -}}
{{- end -}}
{{- toJson $services -}}
{{- end -}}

{{/* Takes root, name, values. */}}
{{- define "concertino.image" -}}
{{- $own := .values.image -}}
{{- $image := .root.Values.image -}}
{{- $registry := default $image.registry $own.registry -}}
{{- $repository := default (printf "%s-%s" $image.repository .name) $own.repository -}}
{{- $tag := default (default .root.Chart.AppVersion $image.tag) $own.tag -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $repository }}:{{ $tag }}
{{- end -}}

{{- define "concertino.bus" -}}
{{- if .Values.bus.url -}}
{{- .Values.bus.url -}}
{{- else if .Values.nats.enabled -}}
nats://{{ .Release.Name }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{- fail "there is no bus: set bus.url to an existing NATS server, or nats.enabled to true" -}}
{{- end -}}
{{- end -}}

{{- define "concertino.monitoring" -}}
{{- if .Values.bus.monitoring -}}
{{- .Values.bus.monitoring -}}
{{- else if .Values.nats.enabled -}}
{{ .Release.Name }}-nats-headless.{{ .Release.Namespace }}.svc:8222
{{- else -}}
{{- fail "scaling by queue reads the depth from NATS: set bus.monitoring to where its monitoring port answers" -}}
{{- end -}}
{{- end -}}

{{/* What every process of ours is told. Takes root, values. */}}
{{- define "concertino.env" -}}
- {name: CTN_NATS_URL, value: {{ include "concertino.bus" .root | quote }}}
- {name: CTN_PREFIX, value: {{ .root.Values.bus.prefix | quote }}}
- {name: CTN_REPLICAS, value: {{ .root.Values.bus.replicas | quote }}}
- {name: CTN_KEEP, value: {{ .root.Values.bus.keep | int64 | quote }}}
- {name: CTN_LEASE, value: {{ .values.lease | quote }}}
- {name: CTN_ATTEMPTS, value: {{ .values.attempts | quote }}}
- {name: CTN_GRACE, value: {{ .values.grace | quote }}}
- {name: CTN_SLOTS, value: {{ .values.slots | quote }}}
- {name: CTN_MODEL, value: {{ .root.Values.model.name | quote }}}
- {name: CTN_CACHE, value: /cache}
- {name: CTN_CONFIG, value: /etc/concertino/concertino.toml}
- {name: CTN_PORT, value: {{ .root.Values.monitoring.port | quote }}}
- {name: CTN_LOG_LEVEL, value: {{ .values.logLevel | quote }}}
- {name: CTN_LOG_FORMAT, value: json}
- {name: HOME, value: /tmp}
{{- if .root.Values.bus.credentialsSecret }}
- {name: CTN_NATS_CREDS, value: /etc/concertino/credentials/{{ .root.Values.bus.credentialsKey }}}
{{- end }}
{{- with .root.Values.model.baseUrl }}
- {name: ANTHROPIC_BASE_URL, value: {{ . | quote }}}
{{- end }}
{{- if and .root.Values.model.existingSecret .values.egress.model }}
- name: ANTHROPIC_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.model.existingSecret }}, key: ANTHROPIC_API_KEY}
{{- end }}
{{- if and .root.Values.search.provider .values.egress.public }}
- {name: CTN_SEARCH, value: {{ .root.Values.search.provider | quote }}}
{{- end }}
{{- with .values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "concertino.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "concertino.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Volumes of every pod, and where they are mounted. Takes root, values. */}}
{{- define "concertino.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: cache
  emptyDir: {sizeLimit: {{ .values.cache }}}
- name: config
  configMap: {name: {{ include "concertino.fullname" .root }}}
{{- with .root.Values.bus.credentialsSecret }}
- name: credentials
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "concertino.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /cache}
- {name: config, mountPath: /etc/concertino, readOnly: true}
{{- if .root.Values.bus.credentialsSecret }}
- {name: credentials, mountPath: /etc/concertino/credentials, readOnly: true}
{{- end }}
{{- with .values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
