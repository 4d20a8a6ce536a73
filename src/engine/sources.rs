//! Who is asked for the tags of an image: the mirrors of its host, in their order, and then the host itself.

use std::borrow::Cow;
use std::sync::Arc;

use super::access::AccessError;
use crate::api::{ClusterImageRegistry, Fallback, Mirror};
use crate::image::ImageName;

/// A place where an image is, and how that place is spoken to.
#[derive(Clone, Debug)]
pub struct Source {
    /// The image as this place names it.
    pub(super) image: ImageName,
    /// What says how its host is spoken to.
    pub(super) registry: Option<Arc<ClusterImageRegistry>>,
    /// The host of which this one is a mirror; `None` for the host that the policy names.
    pub(super) mirror_of: Option<Box<str>>,
}

impl Source {
    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &str {
        self.image.host()
    }

    /// How many scans may ask this host at once.
    pub(super) fn scans_at_once(&self) -> usize {
        self.registry.as_ref().and_then(|registry| registry.spec.limits).unwrap_or_default().scans_at_once()
    }
}

/// The places that are asked for `image`, in order; never none. `registry_of` gives the object for a host.
///
/// A mirror's own mirrors are not asked: its object says how it is spoken to, no more.
///
/// # Errors
/// A mirror that makes no image name, or that is the host itself, is an error and not passed over.
pub fn sources_of(
    image: &ImageName,
    registry_of: impl Fn(&str) -> Option<Arc<ClusterImageRegistry>>,
) -> Result<Vec<Source>, AccessError> {
    let registry = registry_of(image.host());
    let mut sources = Vec::new();
    if let Some(spec) = registry.as_ref().map(|registry| &registry.spec) {
        for (index, mirror) in spec.mirrors.iter().enumerate() {
            let image_there = name_at(mirror, image).map_err(|problem| AccessError::Mirror {
                index,
                host: mirror.host.clone(),
                problem,
            })?;
            let registry = registry_of(image_there.host());
            sources.push(Source { image: image_there, registry, mirror_of: Some(image.host().into()) });
        }
        match (spec.fallback, sources.is_empty()) {
            (Fallback::Never, false) => return Ok(sources),
            (Fallback::Never, true) => return Err(AccessError::NothingToAsk),
            (Fallback::Host, _) => {}
        }
    }
    sources.push(Source { image: image.clone(), registry, mirror_of: None });
    Ok(sources)
}

/// The host that a ClusterImageRegistry is about, by the name by which it is known.
#[must_use]
pub fn host_of(registry: &ClusterImageRegistry) -> Cow<'_, str> {
    ImageName::known_host(&registry.spec.host)
}

/// What says how a host is spoken to: the first by name, where there are several.
pub fn registry_of<'r>(
    registries: impl IntoIterator<Item = &'r Arc<ClusterImageRegistry>>,
    host: &str,
) -> Option<Arc<ClusterImageRegistry>> {
    registries.into_iter().find(|registry| host_of(registry) == host).cloned()
}

/// The name of `image` at a mirror, or what is wrong with that.
fn name_at(mirror: &Mirror, image: &ImageName) -> Result<ImageName, String> {
    let path = mirror.prefix.as_ref().map_or_else(String::new, |prefix| format!("{prefix}/"));
    let name = format!("{}/{path}{}", mirror.host, image.repository());
    let there = ImageName::parse(&name).map_err(|error| error.to_string())?;
    if there.host() == image.host() {
        return Err("a mirror must be another host than the one that it mirrors".to_owned());
    }
    // What is no host is read as a part of the path, on Docker Hub.
    if there.host() != ImageName::known_host(&mirror.host) {
        return Err("its host is not a host with an optional port, such as harbor.acme.example".to_owned());
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(spec: &str) -> Arc<ClusterImageRegistry> {
        Arc::new(ClusterImageRegistry::new("one", serde_saphyr::from_str(spec).unwrap()))
    }

    fn asked(image: &str, spec: &str) -> Result<Vec<String>, String> {
        let registry = registry(spec);
        let of = |host: &str| registry_of([&registry], host);
        let sources = sources_of(&ImageName::parse(image).unwrap(), of).map_err(|error| error.to_string())?;
        Ok(sources.iter().map(|source| format!("{}/{}", source.host(), source.image.repository())).collect())
    }

    #[test]
    fn mirrors_are_asked_in_their_order_and_the_host_last() {
        let mirrors = "mirrors: [{host: harbor.acme.example, prefix: docker-hub}, {host: 'cache:5000'}]";
        let hub = "docker.io/library/alpine";
        let there = ["harbor.acme.example/docker-hub/library/alpine", "cache:5000/library/alpine"];
        for (spec, wanted) in [
            ("{host: docker.io}".to_owned(), vec![hub]),
            (format!("{{host: docker.io, {mirrors}}}"), vec![there[0], there[1], hub]),
            (format!("{{host: docker.io, {mirrors}, fallback: Never}}"), there.to_vec()),
            (format!("{{host: registry-1.docker.io, {mirrors}, fallback: Never}}"), there.to_vec()),
            (format!("{{host: ghcr.io, {mirrors}}}"), vec![hub]),
        ] {
            assert_eq!(asked("alpine", &spec).unwrap(), wanted, "{spec}");
        }
    }

    #[test]
    fn the_object_of_a_mirror_says_how_it_is_spoken_to_and_no_more() {
        let hub = registry("{host: docker.io, mirrors: [{host: a.example}]}");
        let mirror = registry("{host: a.example, mirrors: [{host: b.example}], insecure: true}");
        let of = |host: &str| [&hub, &mirror].into_iter().find(|one| one.spec.host == host).map(Arc::clone);
        let sources = sources_of(&ImageName::parse("alpine").unwrap(), of).unwrap();
        assert_eq!(sources.iter().map(Source::host).collect::<Vec<_>>(), ["a.example", "docker.io"]);
        assert!(sources[0].registry.as_ref().unwrap().spec.insecure);
        assert_eq!(sources[0].mirror_of.as_deref(), Some("docker.io"));
    }

    #[test]
    fn a_mirror_that_is_none_is_named() {
        for (spec, words) in [
            ("{host: docker.io, mirrors: [{host: docker.io}]}", "another host"),
            ("{host: docker.io, mirrors: [{host: index.docker.io}]}", "another host"),
            ("{host: registry-1.docker.io, mirrors: [{host: docker.io}]}", "another host"),
            ("{host: docker.io, mirrors: [{host: a.example}, {host: harbor}]}", "spec.mirrors[1]"),
            ("{host: docker.io, mirrors: [{host: a.example/x}]}", "optional port"),
            ("{host: docker.io, mirrors: [{host: a.example, prefix: Hub}]}", "a-z"),
            ("{host: docker.io, mirrors: [{host: a.example, prefix: /hub/}]}", "a-z"),
            ("{host: docker.io, fallback: Never}", "spec.fallback"),
        ] {
            let error = asked("alpine", spec).unwrap_err();
            assert!(error.contains(words), "{spec}: {error}");
        }
    }
}
