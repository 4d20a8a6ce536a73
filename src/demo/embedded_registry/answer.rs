//! From a request to its answer.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::Refused;
use super::route::{Route, digest};
use super::store::{Manifest, Store};
use crate::image::Tag;

/// The most bytes of one chunk or manifest. The specification asks for 4 MiB at least for manifests.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The most bytes of a manifest's media type; RFC 6838, 4.2, admits 127 for each half.
const MAX_MEDIA_TYPE: usize = 255;

/// The longest tag that is read from a query is as long as a tag can be; other parameters are passed over.
#[derive(Default, Deserialize)]
struct Parameters {
    digest: Option<String>,
    n: Option<usize>,
    last: Option<String>,
}

pub(super) async fn answer(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    respond(&store, request).await.unwrap_or_else(Refused::into_response)
}

async fn respond(store: &Mutex<Store>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path())?;
    let Query(parameters) = Query::<Parameters>::try_from_uri(&parts.uri)
        .map_err(|error| Refused::invalid("UNSUPPORTED", error.to_string()))?;
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        let message = format!("send at most {MAX_BODY} bytes in one request");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    })?;
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    match (&parts.method, route) {
        (&Method::GET | &Method::HEAD, Route::Base) => Ok("{}".into_response()),
        (&Method::GET, Route::Tags { repository }) => tags(&store, &repository, parameters),
        (&Method::GET | &Method::HEAD, Route::Blob { digest }) => {
            let blob = store.blob(&digest)?;
            Ok(content("application/octet-stream", digest.as_str(), blob))
        }
        (&Method::POST, Route::Uploads { repository }) => begin(&mut store, &repository, &parameters, &body),
        (&Method::PATCH, Route::Upload { repository, id }) => {
            let size = store.append(id, start_of(&parts.headers)?, &body)?;
            Ok(accepted(&repository, id, size))
        }
        (&Method::PUT, Route::Upload { repository, id }) => {
            let start = start_of(&parts.headers)?;
            finish(&mut store, &repository, id, start, &parameters, &body)
        }
        (&Method::GET | &Method::HEAD, Route::Manifest { repository, reference }) => {
            let (digest, manifest) = store.manifest(&repository, &reference)?;
            Ok(content(&manifest.media_type, digest.as_str(), manifest.body))
        }
        (&Method::PUT, Route::Manifest { repository, reference }) => {
            let manifest = Manifest { media_type: media_type(&parts.headers)?, body: json_only(body)? };
            let digest = store.put_manifest(&repository, reference, manifest)?;
            Ok(created(&format!("/v2/{repository}/manifests/{digest}"), digest.as_str()))
        }
        (&Method::DELETE, Route::Manifest { repository, reference }) => {
            store.delete_manifest(&repository, &reference)?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ => {
            let message = format!("{} has no meaning for this path", parts.method);
            Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message))
        }
    }
}

fn tags(store: &Store, repository: &str, parameters: Parameters) -> Result<Response, Refused> {
    let last = parameters.last.map(|last| Tag::parse(&last)).transpose();
    let last = last.map_err(|error| Refused::invalid("TAG_INVALID", error.to_string()))?;
    let page = store.tags(repository, parameters.n, last)?;
    let names: Vec<&str> = page.tags.iter().map(Tag::as_str).collect();
    let body = json!({ "name": repository, "tags": names }).to_string();
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let (true, Some(last)) = (page.has_more, names.last()) {
        // RFC 8288; the specification's "Listing Tags" fixes the form.
        let link = format!("</v2/{repository}/tags/list?n={}&last={last}>; rel=\"next\"", names.len());
        if let Ok(link) = link.parse() {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// An upload in one request has its digest with it; one in several gets an address for the next.
fn begin(
    store: &mut Store,
    repository: &str,
    parameters: &Parameters,
    body: &Bytes,
) -> Result<Response, Refused> {
    let id = store.open_upload()?;
    match parameters.digest {
        Some(_) => finish(store, repository, id, None, parameters, body),
        None => Ok(accepted(repository, id, 0)),
    }
}

fn finish(
    store: &mut Store,
    repository: &str,
    id: u64,
    start: Option<usize>,
    parameters: &Parameters,
    body: &Bytes,
) -> Result<Response, Refused> {
    let digest = digest(parameters.digest.as_deref().unwrap_or_default())?;
    store.append(id, start, body)?;
    store.finish_upload(id, &digest)?;
    Ok(created(&format!("/v2/{repository}/blobs/{digest}"), digest.as_str()))
}

/// Where a chunk begins, from `Content-Range: <start>-<end>`: the specification's own form, without RFC 9110's unit.
fn start_of(headers: &HeaderMap) -> Result<Option<usize>, Refused> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let start = range.to_str().ok().and_then(|range| range.split_once('-')?.0.parse().ok());
    start
        .map(Some)
        .ok_or_else(|| Refused::invalid("BLOB_UPLOAD_INVALID", "Content-Range should read start-end"))
}

fn media_type(headers: &HeaderMap) -> Result<String, Refused> {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.len() <= MAX_MEDIA_TYPE)
        .map(ToOwned::to_owned)
        .ok_or_else(|| Refused::invalid("MANIFEST_INVALID", "Content-Type should be the media type"))
}

fn json_only(body: Bytes) -> Result<Bytes, Refused> {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body) {
        Ok(_) => Ok(body),
        Err(error) => {
            Err(Refused::invalid("MANIFEST_INVALID", format!("a manifest is a JSON object: {error}")))
        }
    }
}

fn accepted(repository: &str, id: u64, size: usize) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{repository}/blobs/uploads/{id}")),
        (header::RANGE, format!("0-{}", size.saturating_sub(1))),
    ];
    (StatusCode::ACCEPTED, headers).into_response()
}

fn created(location: &str, digest: &str) -> Response {
    let headers = [("location", location), ("docker-content-digest", digest)];
    (StatusCode::CREATED, headers).into_response()
}

/// The server keeps the length and drops the body where only the head was asked for.
fn content(media_type: &str, digest: &str, body: Bytes) -> Response {
    let headers = [("content-type", media_type), ("docker-content-digest", digest)];
    (headers, Body::from(body)).into_response()
}
