//! Repos as people have them, and one that is made up.

use super::Desk;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      initContainers:
      - name: wait
        image: docker.io/library/busybox:1.36
      containers:
      - name: api
        image: ghcr.io/acme/api:1.4.2
      - name: proxy
        image: nginx:1.27.3-alpine
      - name: sidecar
        image: \"{{ .Values.image }}\"
      - name: exporter
        image: quay.io/acme/exporter
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: clean}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: clean, image: 'ghcr.io/acme/api:1.5.0'}]}}}}}
";

const HELM_RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: sonarr}
spec:
  chartRef: {kind: OCIRepository, name: app-template}
  values:
    controllers:
      sonarr:
        containers:
          app:
            image:
              repository: ghcr.io/home-operations/sonarr
              tag: 4.0.15.2941@DIGEST
          later:
            image: {repository: ghcr.io/acme/later, tag: '${TAG}'}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: app-template}
spec:
  ref: {tag: 3.7.3}
  url: oci://ghcr.io/bjw-s/helm/app-template
";

const APPLICATION: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  source:
    repoURL: ghcr.io/acme/charts
    chart: shop
    targetRevision: 2.0.9
    helm:
      valuesObject:
        image: {repository: ghcr.io/acme/shop, tag: latest}
      parameters:
      - {name: job.repository, value: ghcr.io/acme/job}
      - {name: job.tag, value: '142'}
";

const KUSTOMIZATION: &str = "\
images:
- name: ghcr.io/acme/api
  newTag: 1.5.0
- name: ghcr.io/acme/web
  newTag: main-3f2a91c-1700000000
- name: ghcr.io/acme/site
  newTag: main-3f2a91c
- name: registry.example.com/calendar
  newTag: 2024.9.1
  digest: DIGEST
";

const VALUES: &str = "\
# renovate: datasource=docker depName=ghcr.io/acme/tool
toolVersion: v0.4.2
mark: ghcr.io/acme/marked:1.2.3 # {\"$imagepolicy\": \"flux-system:marked\"}
image:
  repository: ghcr.io/acme/split # {\"$imagepolicy\": \"apps:split:name\"}
  tag: 7.0.1 # {\"$imagepolicy\": \"apps:split:tag\"}
";

pub(super) fn postgres(tag: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nspec: {{template: {{spec: {{containers: [{{name: db, image: 'postgres:{tag}'}}]}}}}}}\n"
    )
}

/// A repo with shapes that repos have.
pub(super) fn real_shapes() -> Desk {
    let with_digest = |text: &str| text.replace("DIGEST", DIGEST);
    Desk::of(&[
        ("apps/api/deployment.yaml", DEPLOYMENT),
        ("apps/media/release.yaml", &with_digest(HELM_RELEASE)),
        ("apps/shop/application.yaml", APPLICATION),
        ("apps/kustomization.yaml", &with_digest(KUSTOMIZATION)),
        ("apps/values.yaml", VALUES),
        ("db/old.yaml", &postgres("15.4")),
        ("db/new.yaml", &postgres("16.1")),
        ("db/other.yaml", &postgres("16.2")),
        ("templates/x.yaml", "kind: Pod\napiVersion: v1\nspec: {{ x }}\n  containers: [{image: a}]\n"),
    ])
}

/// Numbers that look random and are the same every time.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}

/// The files of an app, with how many values of its image are in them.
pub(super) fn app(numbers: &mut Numbers, number: u64) -> (String, String, usize) {
    let image = format!("ghcr.io/team-{}/app-{}", numbers.below(9), numbers.below(60));
    let version = |numbers: &mut Numbers| {
        let (major, minor, patch) = (numbers.below(3), numbers.below(4), numbers.below(20));
        match numbers.below(8) {
            0 => format!("{major}.{minor}.{patch}-alpine"),
            1 => format!("v{major}.{minor}.{patch}"),
            2 => format!("2025.{}.{patch}", numbers.below(12) + 1),
            3 => "latest".to_owned(),
            _ => format!("{major}.{minor}.{patch}"),
        }
    };
    let (one, two) = (version(numbers), version(numbers));
    let folder = format!("apps/{number}");
    match numbers.below(4) {
        0 => (
            format!("{folder}/deployment.yaml"),
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        image: {image}:{one}\n      - name: b\n        image: {image}:{two}\n"
            ),
            2,
        ),
        1 => (
            format!("{folder}/kustomization.yaml"),
            format!("images:\n- name: {image}\n  newTag: \"{one}\"\n"),
            1,
        ),
        2 => (
            format!("{folder}/values.yaml"),
            format!("a:\n  image:\n    repository: {image}\n    tag: {one}\nb:\n  image: {image}:{two}\n"),
            2,
        ),
        _ => (
            format!("{folder}/release.yaml"),
            format!(
                "kind: HelmRelease\nspec:\n  values:\n    x: {{image: {{repository: {image}, tag: '{one}'}}}}\n"
            ),
            1,
        ),
    }
}
