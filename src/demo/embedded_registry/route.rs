//! What a path of the registry API names.

use axum::http::StatusCode;

use super::Refused;
use crate::image::{Digest, ImageName, Tag};

/// What a path names. A repository's name is valid wherever there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/<name>/tags/list`
    Tags { repository: String },
    /// `/v2/<name>/manifests/<reference>`
    Manifest { repository: String, reference: Reference },
    /// `/v2/<name>/blobs/<digest>`
    Blob { digest: Digest },
    /// `/v2/<name>/blobs/uploads/`
    Uploads { repository: String },
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload { repository: String, id: u64 },
}

/// A manifest, by one of its names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// By a tag, which may move.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

impl Route {
    /// Reads a path. A name may hold words such as `manifests` itself, so paths are read from their end.
    pub(super) fn parse(path: &str) -> Result<Self, Refused> {
        let unknown = || Refused::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "this path has no meaning here");
        let rest = path.strip_prefix("/v2").ok_or_else(unknown)?;
        if matches!(rest, "" | "/") {
            return Ok(Self::Base);
        }
        let rest = rest.strip_prefix('/').ok_or_else(unknown)?;
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags { repository: repository(name)? });
        }
        let (rest, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            let repository = repository(name)?;
            return match last {
                "" => Ok(Self::Uploads { repository }),
                id => {
                    let id =
                        id.parse().map_err(|_| Refused::not_found("BLOB_UPLOAD_UNKNOWN", "the upload"))?;
                    Ok(Self::Upload { repository, id })
                }
            };
        }
        if let Some(name) = rest.strip_suffix("/blobs") {
            repository(name)?;
            return Ok(Self::Blob { digest: digest(last)? });
        }
        let name = rest.strip_suffix("/manifests").ok_or_else(unknown)?;
        Ok(Self::Manifest { repository: repository(name)?, reference: Reference::parse(last)? })
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.contains(':') {
            return digest(text).map(Self::Digest);
        }
        Tag::parse(text).map(Self::Tag).map_err(|error| Refused::invalid("TAG_INVALID", error.to_string()))
    }
}

/// Reads a digest of the one algorithm that is computed here.
pub(super) fn digest(text: &str) -> Result<Digest, Refused> {
    let digest =
        Digest::parse(text).map_err(|error| Refused::invalid("DIGEST_INVALID", error.to_string()))?;
    if digest.as_str().starts_with("sha256:") {
        Ok(digest)
    } else {
        Err(Refused::invalid("DIGEST_INVALID", "only sha256 is understood here"))
    }
}

fn repository(name: &str) -> Result<String, Refused> {
    let image = ImageName::parse(&format!("localhost/{name}"))
        .map_err(|error| Refused::invalid("NAME_INVALID", error.to_string()))?;
    Ok(image.repository().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_path_of_the_api() {
        let repository = || "acme/api".to_owned();
        let digest = Digest::sha256_of(b"");
        for (path, route) in [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".to_owned(), Route::Base),
            ("/v2/acme/api/tags/list".to_owned(), Route::Tags { repository: repository() }),
            ("/v2/acme/api/blobs/uploads/".to_owned(), Route::Uploads { repository: repository() }),
            ("/v2/acme/api/blobs/uploads/7".to_owned(), Route::Upload { repository: repository(), id: 7 }),
            (format!("/v2/acme/api/blobs/{digest}"), Route::Blob { digest: digest.clone() }),
            (
                format!("/v2/acme/api/manifests/{digest}"),
                Route::Manifest { repository: repository(), reference: Reference::Digest(digest.clone()) },
            ),
            (
                "/v2/acme/api/manifests/1.0.0".to_owned(),
                Route::Manifest {
                    repository: repository(),
                    reference: Reference::Tag(Tag::parse("1.0.0").unwrap()),
                },
            ),
        ] {
            assert_eq!(Route::parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn a_repository_may_be_named_like_a_part_of_the_api() {
        let route = Route::parse("/v2/blobs/manifests/tags/manifests/1").unwrap();
        assert!(
            matches!(&route, Route::Manifest { repository, .. } if repository == "blobs/manifests/tags"),
            "{route:?}"
        );
    }

    #[test]
    fn refuses_with_the_specifications_code() {
        for (path, code) in [
            ("/", "UNSUPPORTED"),
            ("/v2x/", "UNSUPPORTED"),
            ("/v2/acme", "UNSUPPORTED"),
            ("/v2/acme/api", "UNSUPPORTED"),
            ("/v2/Acme/api/tags/list", "NAME_INVALID"),
            ("/v2/../api/tags/list", "NAME_INVALID"),
            ("/v2/%2e%2e/api/tags/list", "NAME_INVALID"),
            ("/v2/acme/api/manifests/-x", "TAG_INVALID"),
            ("/v2/acme/api/manifests/sha256:00", "DIGEST_INVALID"),
            ("/v2/acme/api/blobs/latest", "DIGEST_INVALID"),
            ("/v2/acme/api/blobs/uploads/x", "BLOB_UPLOAD_UNKNOWN"),
            (&format!("/v2/acme/api/blobs/sha512:{}", "0".repeat(128)), "DIGEST_INVALID"),
        ] {
            assert_eq!(Route::parse(path).unwrap_err().code, code, "{path}");
        }
    }
}
