{{/* What the operator does with the objects of a namespace that it watches. */}}
{{- define "tagtide.namespacedRules" -}}
- apiGroups: [tagtide.dev]
  resources: [imagepolicies, infrarepositories]
  verbs: [list, watch]
- apiGroups: [tagtide.dev]
  resources: [imagepolicies/status, infrarepositories/status]
  verbs: [patch]
# Only those that an object names are read, one by one: never listed, never watched.
{{ include "tagtide.callerRules" . }}
{{ include "tagtide.eventRules" . }}
{{- end -}}

{{/* What is read of who asks a registry or a repository. */}}
{{- define "tagtide.callerRules" -}}
- apiGroups: [""]
  resources: [secrets, serviceaccounts]
  verbs: [get]
{{- if .Values.cloudIdentities }}
# A token for a cloud, in exchange for which that cloud gives a credential of its own.
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
{{- end }}
{{- end -}}

{{- define "tagtide.registryRules" -}}
- apiGroups: [tagtide.dev]
  resources: [clusterimageregistries]
  verbs: [list, watch]
- apiGroups: [tagtide.dev]
  resources: [clusterimageregistries/status]
  verbs: [patch]
{{- end -}}

{{- define "tagtide.eventRules" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "tagtide.subjects" -}}
- kind: ServiceAccount
  name: {{ include "tagtide.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
