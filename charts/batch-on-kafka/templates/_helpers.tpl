{{/* A value as text: what --set made a number stays the digits that were typed. */}}
{{- define "batch.text" -}}
{{- if kindIs "float64" . }}{{ printf "%.0f" . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{- define "batch.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release `batch` is named batch-on-kafka, not batch-batch-on-kafka. */}}
{{- define "batch.fullname" -}}
{{- $name := include "batch.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else if hasPrefix .Release.Name $name }}{{ $name }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "batch.selector" -}}
app.kubernetes.io/name: {{ include "batch.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of everything; with a component, of its objects. */}}
{{- define "batch.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "batch.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: batch-on-kafka
{{- end }}

{{- define "batch.image" -}}
{{- $image := .Values.image }}
{{- $repository := required "image.repository is not set: say where the image was pushed, with --set image.repository=REGISTRY/batch-on-kafka" $image.repository }}
{{- if $image.digest }}{{ printf "%s@%s" $repository $image.digest }}
{{- else }}{{ printf "%s:%s" $repository (include "batch.text" ($image.tag | default .Chart.AppVersion)) }}
{{- end }}
{{- end }}

{{- define "batch.kafkaSecret" -}}
{{- .Values.kafka.sasl.existingSecret | default (printf "%s-kafka" (include "batch.fullname" .)) }}
{{- end }}

{{- define "batch.caSecret" -}}
{{- .Values.kafka.ca.existingSecret | default (printf "%s-kafka-ca" (include "batch.fullname" .)) }}
{{- end }}

{{- define "batch.hasCa" -}}
{{- if or .Values.kafka.ca.existingSecret .Values.kafka.ca.pem }}true{{ end }}
{{- end }}

{{- define "batch.clickhouseSecret" -}}
{{- .Values.clickhouse.existingSecret | default (printf "%s-clickhouse" (include "batch.fullname" .)) }}
{{- end }}

{{/* What does not fit together, said before anything is installed. */}}
{{- define "batch.check" -}}
{{- $kafka := .Values.kafka }}
{{- $sasl := $kafka.sasl }}
{{- if hasPrefix "SASL_" $kafka.securityProtocol }}
{{- if and (not $sasl.existingSecret) (not (and $sasl.username $sasl.password)) }}
{{- fail (printf "kafka.securityProtocol is %s: set kafka.sasl.existingSecret, or kafka.sasl.username and kafka.sasl.password" $kafka.securityProtocol) }}
{{- end }}
{{- else if or $sasl.existingSecret $sasl.username $sasl.password }}
{{- fail (printf "kafka.sasl has credentials, but kafka.securityProtocol is %s: set it to SASL_SSL or SASL_PLAINTEXT" $kafka.securityProtocol) }}
{{- end }}
{{- if and $sasl.existingSecret (or $sasl.username $sasl.password) }}
{{- fail "kafka.sasl has both existingSecret and username or password: set only one of the two" }}
{{- end }}
{{- if and $kafka.ca.existingSecret $kafka.ca.pem }}
{{- fail "kafka.ca has both existingSecret and pem: set only one of the two" }}
{{- end }}
{{- if and (include "batch.hasCa" .) (not (has $kafka.securityProtocol (list "SSL" "SASL_SSL"))) }}
{{- fail (printf "kafka.ca is set, but kafka.securityProtocol is %s: set it to SSL or SASL_SSL" $kafka.securityProtocol) }}
{{- end }}
{{- if and .Values.clickhouse.existingSecret .Values.clickhouse.password }}
{{- fail "clickhouse has both existingSecret and password: set only one of the two" }}
{{- end }}
{{- end }}

{{/* How Kafka and ClickHouse are reached: the same for operator and API. */}}
{{- define "batch.env" -}}
{{- $kafka := .Values.kafka }}
{{- $clickhouse := .Values.clickhouse -}}
- name: KAFKA_BOOTSTRAP
  value: {{ required "kafka.bootstrap is not set: name your brokers as pods reach them, with --set kafka.bootstrap=HOST:9092" $kafka.bootstrap | quote }}
- name: KAFKA_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol }}
{{- if hasPrefix "SASL_" $kafka.securityProtocol }}
- name: KAFKA_SASL_MECHANISM
  value: {{ $kafka.sasl.mechanism }}
- name: KAFKA_SASL_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ include "batch.kafkaSecret" . }}, key: {{ $kafka.sasl.usernameKey }}}
- name: KAFKA_SASL_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "batch.kafkaSecret" . }}, key: {{ $kafka.sasl.passwordKey }}}
{{- end }}
{{- if include "batch.hasCa" . }}
- name: KAFKA_SSL_CA
  value: /etc/kafka-ca/{{ $kafka.ca.key }}
{{- end }}
- name: CLICKHOUSE_HOST
  value: {{ required "clickhouse.host is not set: name your ClickHouse as pods reach it, with --set clickhouse.host=HOST" $clickhouse.host | quote }}
- name: CLICKHOUSE_PORT
  value: {{ include "batch.text" $clickhouse.port | quote }}
- name: CLICKHOUSE_DATABASE
  value: {{ $clickhouse.database | quote }}
- name: CLICKHOUSE_SECURE
  value: {{ $clickhouse.secure | quote }}
- name: CLICKHOUSE_USER
  value: {{ include "batch.text" $clickhouse.user | quote }}
{{- if or $clickhouse.existingSecret $clickhouse.password }}
- name: CLICKHOUSE_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "batch.clickhouseSecret" . }}, key: {{ $clickhouse.passwordKey }}}
{{- end }}
- name: LOG_FORMAT
  value: {{ .Values.logging.format }}
{{- with .Values.logging.filter }}
- name: RUST_LOG
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* A pod's spec but for its containers: the restricted Pod Security Standard, and where it runs. */}}
{{- define "batch.pod" -}}
{{- $part := .part -}}
serviceAccountName: {{ include "batch.fullname" .root }}-{{ .suffix }}
# A Service named clickhouse beside us would else set CLICKHOUSE_PORT.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if include "batch.hasCa" .root }}
volumes:
  - name: kafka-ca
    secret: {secretName: {{ include "batch.caSecret" .root }}}
{{- end }}
{{- end }}

{{/* What every container has. */}}
{{- define "batch.container" -}}
image: {{ include "batch.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .part.resources | nindent 2 }}
{{- if include "batch.hasCa" .root }}
volumeMounts:
  - {name: kafka-ca, mountPath: /etc/kafka-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Changes with the Secrets the chart makes, so that pods start again with new passwords. */}}
{{- define "batch.podAnnotations" -}}
checksum/secrets: {{ include (print .root.Template.BasePath "/secrets.yaml") .root | sha256sum }}
{{- with .part.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
