{{/* A name of at most 63 characters, as labels and pods have them: what is longer ends in its digest, so no two meet. */}}
{{- define "concertino.short" -}}
{{- if gt (len .) 63 }}{{ . | trunc 54 | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}{{ else }}{{ . | trimSuffix "-" }}{{ end -}}
{{- end -}}

{{- define "concertino.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "concertino.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "concertino.name" .) .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "concertino.name" .) -}}
{{- end -}}
{{- end -}}

{{/* The name of one object. Takes root and name; an empty name is the release's own. */}}
{{- define "concertino.object" -}}
{{- printf "%s-%s" (include "concertino.fullname" .root) .name | trimSuffix "-" | include "concertino.short" -}}
{{- end -}}

{{/* Labels of every object. What commonLabels say of the same name does not count. */}}
{{- define "concertino.labels" -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "concertino.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $ours (deepCopy .Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* What selects the pods of one service. Takes root and name. */}}
{{- define "concertino.selector" -}}
app.kubernetes.io/name: {{ include "concertino.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{/*
Every service as JSON: its name, the kinds it serves, the user it is on the bus, whether it is a worker, and its values over
the defaults.
*/}}
{{- define "concertino.services" -}}
{{- $root := . -}}
{{- $services := list -}}
{{- range $name, $kind := dict "orchestrator" "plan" "synthesizer" "synthesize" -}}
{{- $values := mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy (index $root.Values $name)) -}}
{{- $services = append $services (dict "name" $name "kinds" (list $kind) "role" $name "worker" false "values" $values) -}}
{{- end -}}
{{- range $kind := keys .Values.workers | sortAlpha -}}
{{- with index $root.Values.workers $kind -}}
{{- $values := mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy .) -}}
{{- if not $values.description -}}
{{- fail (printf "workers.%s.description: say what this kind does. Planners read it, also while none of its workers runs" $kind) -}}
{{- end -}}
{{- $services = append $services (dict "name" $kind "kinds" (list $kind) "role" "worker" "worker" true "values" $values) -}}
{{- end -}}
{{- end -}}
{{- range $services -}}
{{- if gt (int .values.scaling.min) (int .values.scaling.max) -}}
{{- fail (printf "%s: scaling.min is more than scaling.max" .name) -}}
{{- end -}}
{{- if not (get (default dict .values.resources.limits) "memory") -}}
{{- fail (printf "%s: resources.limits.memory: set it, so that one service cannot take the memory of a whole node" .name) -}}
{{- end -}}
{{- $model := $root.Values.model -}}
{{- $keys := list "ANTHROPIC_API_KEY" "ANTHROPIC_AUTH_TOKEN" "CTN_MODEL" -}}
{{- if and (eq $model.name "anthropic") (not $model.existingSecret) .values.egress.model (not (include "concertino.given" (dict "values" .values "names" $keys))) -}}
{{- fail (printf "model.name is anthropic, and %s has no key: set model.existingSecret (or ANTHROPIC_API_KEY in its env), or model.name to auto" .name) -}}
{{- end -}}
{{- $search := $root.Values.search -}}
{{- $key := printf "%s_API_KEY" (default "" $search.provider | upper) -}}
{{- if and (has $search.provider (list "brave" "tavily")) (not $search.existingSecret) .values.egress.public (not (include "concertino.given" (dict "values" .values "names" (list $key "CTN_SEARCH")))) -}}
{{- fail (printf "search.provider is %s, and %s has no key for it: set search.existingSecret (or %s in its env)" $search.provider .name $key) -}}
{{- end -}}
{{- end -}}
{{- toJson $services -}}
{{- end -}}

{{/* Whether a service has one of these variables of its own, or may have: what envFrom names is not looked into. Takes values, names. */}}
{{- define "concertino.given" -}}
{{- if .values.envFrom }}true{{ end -}}
{{- range .values.env }}{{ if has .name $.names }}true{{ end }}{{ end -}}
{{- end -}}

{{/* Takes root, name, values. A tag may be a digest. */}}
{{- define "concertino.image" -}}
{{- $own := .values.image -}}
{{- $image := .root.Values.image -}}
{{- $registry := default $image.registry $own.registry -}}
{{- $repository := default (printf "%s-%s" $image.repository .name) $own.repository -}}
{{- $tag := default (default .root.Chart.AppVersion $image.tag) $own.tag -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag }}
{{- end -}}

{{/* Whether the server is the one of this chart; empty for an existing one. */}}
{{- define "concertino.ownServer" -}}
{{- if and .Values.bus.url .Values.nats.enabled -}}
{{- fail "bus.url names an existing NATS server: set nats.enabled=false, so that this chart brings no second one" -}}
{{- else if .Values.nats.enabled -}}
{{- if .Values.nats.namespaceOverride -}}
{{- fail "nats.namespaceOverride: the server's users are in the release's namespace, and so must the server be" -}}
{{- end -}}
{{- if gt (len (include "nats.fullname" .Subcharts.nats)) 52 -}}
{{- fail "the server's name is too long: Kubernetes puts it, and a digest, into a label of its pods. Set nats.fullnameOverride to 52 characters at the most, or call the release otherwise" -}}
{{- end -}}
{{- if not .Values.nats.config.jetstream.enabled -}}
{{- fail "nats.config.jetstream.enabled: tasks and their queues are streams of JetStream, so it must be true" -}}
{{- end -}}
{{- $cluster := .Values.nats.config.cluster -}}
{{- $servers := ternary (int $cluster.replicas) 1 $cluster.enabled -}}
{{- if gt (int .Values.bus.replicas) $servers -}}
{{- fail (printf "bus.replicas is %d, and there are as many copies of a stream as servers at the most: %d. Set bus.replicas, or nats.config.cluster" (int .Values.bus.replicas) $servers) -}}
{{- end -}}
true
{{- else if not .Values.bus.url -}}
{{- fail "there is no bus: set bus.url to an existing NATS server, or nats.enabled to true" -}}
{{- end -}}
{{- end -}}

{{- define "concertino.bus" -}}
{{- if include "concertino.ownServer" . -}}
{{- $nats := .Subcharts.nats -}}
{{- $service := default (include "nats.fullname" $nats) $nats.Values.service.name -}}
{{ ternary "tls" "nats" $nats.Values.config.nats.tls.enabled }}://{{ $service }}.{{ .Release.Namespace }}.svc:{{ $nats.Values.config.nats.port }}
{{- else -}}
{{- .Values.bus.url -}}
{{- end -}}
{{- end -}}

{{/* Where the server's monitoring answers: a URL. */}}
{{- define "concertino.monitoring" -}}
{{- if .Values.bus.monitoring -}}
{{ ternary "" "http://" (contains "://" .Values.bus.monitoring) }}{{ .Values.bus.monitoring | trimSuffix "/" }}
{{- else if include "concertino.ownServer" . -}}
{{- $nats := .Subcharts.nats -}}
{{- $service := default (printf "%s-headless" (include "nats.fullname" $nats)) $nats.Values.headlessService.name -}}
{{- $monitor := $nats.Values.config.monitor -}}
{{- if not $monitor.enabled -}}
{{- fail "scaling by queue reads the depth from the server's monitoring: set nats.config.monitor.enabled to true, or scaling.by to fixed or cpu" -}}
{{- end -}}
{{ ternary "https" "http" $monitor.tls.enabled }}://{{ $service }}.{{ .Release.Namespace }}.svc:{{ $monitor.port }}
{{- else -}}
{{- fail "scaling by queue reads the depth from NATS: set bus.monitoring to where its monitoring port answers" -}}
{{- end -}}
{{- end -}}

{{/* What permissions.json says of one role or kind, filled in. Takes root, kind and text. */}}
{{- define "concertino.filled" -}}
{{- $prefix := .root.Values.bus.prefix -}}
{{- .text | replace "{prefix}" $prefix | replace "{PREFIX}" (upper $prefix) | replace "{kind}" (default "" .kind) -}}
{{- end -}}

{{/* A user of the bus by role and, for workers, kind. Takes root, role, kind. */}}
{{- define "concertino.user" -}}
{{- $roles := (.root.Files.Get "permissions.json" | fromJson).roles -}}
{{- include "concertino.filled" (dict "root" .root "kind" .kind "text" (index $roles .role).user) -}}
{{- end -}}

{{/* The secret with the users' passwords; empty where services sign on otherwise, or not at all. */}}
{{- define "concertino.usersSecret" -}}
{{- if .Values.global.usersSecret -}}
{{- .Values.global.usersSecret -}}
{{- else if include "concertino.ownServer" . -}}
{{ .Release.Name }}-nats-users
{{- end -}}
{{- end -}}

{{/* How one process signs on, as JSON: variables of its environment, and the volume sources they point to. Takes root, role, kind, secret. */}}
{{- define "concertino.signOn" -}}
{{- $bus := .root.Values.bus -}}
{{- $secret := default $bus.credentialsSecret .secret -}}
{{- $env := list -}}
{{- $sources := list -}}
{{- $there := "/etc/concertino" -}}
{{- if and $secret (include "concertino.usersSecret" .root) -}}
{{- fail "credentialsSecret is for an existing server, and instead of global.usersSecret: set one of them" -}}
{{- else if $secret -}}
{{- if eq $bus.credentialsType "password" -}}
{{- $env = append $env (dict "name" "CTN_NATS_USER" "valueFrom" (dict "secretKeyRef" (dict "name" $secret "key" "username"))) -}}
{{- $env = append $env (dict "name" "CTN_NATS_PASSWORD_FILE" "value" (print $there "/password")) -}}
{{- $sources = append $sources (dict "secret" (dict "name" $secret "items" (list (dict "key" "password" "path" "password")))) -}}
{{- else -}}
{{- $variable := get (dict "creds" "CTN_NATS_CREDS" "nkey" "CTN_NATS_NKEY" "token" "CTN_NATS_TOKEN_FILE") $bus.credentialsType -}}
{{- $env = append $env (dict "name" $variable "value" (print $there "/credentials")) -}}
{{- $sources = append $sources (dict "secret" (dict "name" $secret "items" (list (dict "key" $bus.credentialsKey "path" "credentials")))) -}}
{{- end -}}
{{- else if include "concertino.usersSecret" .root -}}
{{- $user := include "concertino.user" . -}}
{{- $env = append $env (dict "name" "CTN_NATS_USER" "value" $user) -}}
{{- $env = append $env (dict "name" "CTN_NATS_PASSWORD_FILE" "value" (print $there "/password")) -}}
{{- $items := list (dict "key" $user "path" "password") -}}
{{- $sources = append $sources (dict "secret" (dict "name" (include "concertino.usersSecret" .root) "items" $items)) -}}
{{- end -}}
{{- with $bus.tls.caSecret -}}
{{- $env = append $env (dict "name" "CTN_NATS_CA" "value" (print $there "/ca.crt")) -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" (list (dict "key" "ca.crt" "path" "ca.crt")))) -}}
{{- end -}}
{{- with $bus.tls.certSecret -}}
{{- $env = append $env (dict "name" "CTN_NATS_CERT" "value" (print $there "/tls.crt")) -}}
{{- $env = append $env (dict "name" "CTN_NATS_KEY" "value" (print $there "/tls.key")) -}}
{{- $items := list (dict "key" "tls.crt" "path" "tls.crt") (dict "key" "tls.key" "path" "tls.key") -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" $items)) -}}
{{- end -}}
{{- toJson (dict "env" $env "sources" $sources) -}}
{{- end -}}

{{/* What every process of ours is told. Takes root, role, kind, secret, values. One of the service's own `env` replaces ours. */}}
{{- define "concertino.env" -}}
{{- $ours := include "concertino.settings" . | fromYamlArray -}}
{{- $ours = concat $ours (include "concertino.signOn" . | fromJson).env -}}
{{- $own := dict -}}
{{- range .values.env }}{{- $_ := set $own .name true }}{{- end -}}
{{- $env := list -}}
{{- range $ours }}{{- if not (hasKey $own .name) }}{{- $env = append $env . }}{{- end }}{{- end -}}
{{- concat $env .values.env | toYaml -}}
{{- end -}}

{{- define "concertino.settings" -}}
{{- $all := .root.Values -}}
- {name: CTN_NATS_URL, value: {{ include "concertino.bus" .root | quote }}}
- {name: CTN_PREFIX, value: {{ $all.bus.prefix | quote }}}
- {name: CTN_REPLICAS, value: {{ $all.bus.replicas | quote }}}
- {name: CTN_PROVISION, value: {{ not (or $all.provision.enabled (include "concertino.usersSecret" .root)) | quote }}}
- {name: CTN_KEEP, value: {{ $all.bus.keep | int64 | quote }}}
- {name: CTN_MAX_QUEUED, value: {{ $all.bus.maxQueued | default 100000 | int64 | quote }}}
- {name: CTN_LEASE, value: {{ .values.lease | quote }}}
- {name: CTN_ATTEMPTS, value: {{ .values.attempts | quote }}}
{{- if eq .role "orchestrator" }}
- {name: CTN_HEDGE, value: {{ $all.hedge | quote }}}
{{- end }}
- {name: CTN_GRACE, value: {{ .values.grace | quote }}}
- {name: CTN_SLOTS, value: {{ .values.slots | quote }}}
{{- /* Who has no key cannot insist. */}}
- {name: CTN_MODEL, value: {{ ternary "auto" $all.model.name (and (eq $all.model.name "anthropic") (not .values.egress.model)) | quote }}}
- {name: CTN_MAX_COST, value: {{ $all.model.maxCost | default 0 | quote }}}
- {name: CTN_CACHE, value: /cache}
- {name: CTN_CACHE_BYTES, value: {{ include "concertino.cacheBytes" .values.cache | quote }}}
- {name: CTN_SOURCE_ROOTS, value: {{ join ":" .values.sourceRoots | quote }}}
- {name: CTN_CONFIG, value: /etc/concertino/concertino.toml}
- {name: CTN_PORT, value: {{ $all.monitoring.port | quote }}}
- {name: CTN_LOG_LEVEL, value: {{ .values.logLevel | quote }}}
- {name: CTN_LOG_FORMAT, value: json}
- {name: HOME, value: /tmp}
{{- with $all.tracing }}
{{- if .endpoint }}
{{- if regexMatch "/v1/traces/?$" .endpoint }}
{{- fail "tracing.endpoint: leave out /v1/traces, which is put behind it" }}
{{- end }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: "k8s.pod.name=$(POD_NAME),k8s.namespace.name={{ $.root.Release.Namespace }}"}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .ratio | quote }}}
{{- with .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: OTEL_EXPORTER_OTLP_HEADERS}
{{- end }}
{{- end }}
{{- end }}
{{- if .values.egress.model }}
{{- with $all.model.baseUrl }}
- {name: ANTHROPIC_BASE_URL, value: {{ . | quote }}}
{{- end }}
{{- with $all.model.existingSecret }}
- name: ANTHROPIC_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ . | quote }}, key: ANTHROPIC_API_KEY}
{{- end }}
{{- end }}
{{- if and $all.search.provider .values.egress.public }}
- {name: CTN_SEARCH, value: {{ $all.search.provider | quote }}}
{{- if and $all.search.existingSecret (has $all.search.provider (list "brave" "tavily")) }}
- name: {{ upper $all.search.provider }}_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ $all.search.existingSecret | quote }}, key: {{ upper $all.search.provider }}_API_KEY}
{{- end }}
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

{{/* Bytes that clones and indexes may take of a folder of the size given, such as 1Gi: four fifths, as what grows may be over
     its limit for a moment, and the kubelet ends a pod that is over its own. */}}
{{- define "concertino.cacheBytes" -}}
{{- $size := ternary . (int64 . | toString) (kindIs "string" .) -}}
{{- $units := dict "m" 0.001 "k" 1e3 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $number := regexFind "^[0-9.]+" $size | float64 -}}
{{- max 1048576 (mulf $number (get $units (regexFind "[A-Za-z]*$" $size) | default 1.0) 0.8 | int64) -}}
{{- end -}}

{{/* Volumes of every pod. Takes root, role, kind, secret, values. One of the service's own `volumes` replaces ours of its name. */}}
{{- define "concertino.volumes" -}}
{{- $config := list (dict "configMap" (dict "name" (include "concertino.object" (dict "root" .root "name" "")))) -}}
{{- $sources := concat $config (include "concertino.signOn" . | fromJson).sources -}}
{{- $ours := list
  (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "256Mi"))
  (dict "name" "cache" "emptyDir" (dict "sizeLimit" .values.cache))
  (dict "name" "config" "projected" (dict "defaultMode" 288 "sources" $sources)) -}}
{{- $own := dict -}}
{{- range .values.volumes }}{{- $_ := set $own .name true }}{{- end -}}
{{- $volumes := list -}}
{{- range $ours }}{{- if not (hasKey $own .name) }}{{- $volumes = append $volumes . }}{{- end }}{{- end -}}
{{- concat $volumes .values.volumes | toYaml -}}
{{- end -}}

{{- define "concertino.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /cache}
- {name: config, mountPath: /etc/concertino, readOnly: true}
{{- with .values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What every pod of ours begins with, and where it may run. Takes root, values. */}}
{{- define "concertino.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- include "concertino.podSecurity" .root | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
