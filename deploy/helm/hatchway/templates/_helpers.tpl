{{- define "hatchway.name" -}}
{{- $name := ternary .Release.Name (printf "%s-hatchway" .Release.Name) (contains "hatchway" .Release.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* Labels by which a plane's pods are found: a Deployment's never change. */}}
{{- define "hatchway.selector" -}}
app.kubernetes.io/name: hatchway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .plane }}
{{- end }}

{{- define "hatchway.labels" -}}
{{ include "hatchway.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "hatchway.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end }}

{{/* host:port, of IPv6 in brackets. */}}
{{- define "hatchway.address" -}}
{{- if contains ":" .host -}}[{{ .host }}]:{{ .port }}{{- else -}}{{ .host }}:{{ .port }}{{- end -}}
{{- end }}

{{/* What the pods of both planes have in common. */}}
{{- define "hatchway.pod" -}}
automountServiceAccountToken: false
# Variables for each Service would begin with HATCHWAY_ too.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Who pods are: nobody that could become somebody else. */}}
{{- define "hatchway.user" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "hatchway.container" -}}
image: {{ include "hatchway.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "hatchway.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "hatchway.selector" . | nindent 8 }}
{{- end }}

{{- define "hatchway.variable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end }}

{{- define "hatchway.mounts" -}}
- {name: tls, mountPath: /etc/hatchway/tls, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{ include "hatchway.storeMount" . }}
{{- end }}

{{- define "hatchway.storeMount" -}}
{{- if .Values.secrets.storeCa -}}
- {name: store-ca, mountPath: /etc/hatchway/store, readOnly: true}
{{- end -}}
{{- end }}

{{- define "hatchway.volumes" -}}
- name: tls
  secret: {secretName: {{ .Values.secrets.tls }}, defaultMode: 0440}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.secrets.storeCa }}
- name: store-ca
  secret: {secretName: {{ . }}, items: [{key: ca.pem, path: ca.pem}]}
{{- end }}
{{- end }}
