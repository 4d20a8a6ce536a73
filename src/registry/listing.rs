//! All tags of a repository, page by page.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use foldhash::quality::FixedState;
use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, Response, StatusCode, Url};

use super::Error;
use super::link::next_page;
use super::refusal::Refusal;
use super::session::Session;
use super::tag_list::{Item, TagListParser};
use crate::image::TagRef;
use crate::net::{Body, Limits};

const MAX_PAGES: u32 = 10_000;
const MAX_NAMES: u64 = 1_000_000;
const MAX_PAGE_BYTES: u64 = 32 * 1024 * 1024;
const MAX_BYTES: u64 = 256 * 1024 * 1024;
const TOTAL_TIME: Duration = Duration::from_secs(5 * 60);
const STALL_TIME: Duration = Duration::from_secs(30);

/// The longest entity tag that is kept, in bytes.
const MAX_ETAG: usize = 256;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a whole scan saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// How many tags were given, duplicates included.
    pub tags: u64,
    /// How many names broke the tag grammar and were not given.
    pub malformed: u64,
    /// How many pages the registry made of it.
    pub pages: u32,
    /// A hash of the tags that does not depend on their order. Equal lists have equal fingerprints within one version
    /// of Tagtide.
    pub fingerprint: u64,
    /// How many bytes of JSON were read, after decompression.
    pub bytes: u64,
}

/// What became of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The list was read as a whole; with its version, where the registry gives one.
    Whole(Listing, Option<ListVersion>),
    /// The list is the one that was known.
    Unchanged,
}

/// By what a registry knows a list again: its entity tag (RFC 9110, 8.8.3), as one caller saw it.
///
/// Only a list of one page has one: a tag of the first page says nothing about the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListVersion {
    etag: Box<str>,
    /// The question and the caller; others must not use it.
    seen_with: u64,
}

impl ListVersion {
    fn read(headers: &HeaderMap, seen_with: u64) -> Option<Self> {
        let etag = headers.get(ETAG)?.to_str().ok()?;
        (!etag.is_empty() && etag.len() <= MAX_ETAG).then(|| Self { etag: etag.into(), seen_with })
    }
}

pub(super) async fn list(
    session: &Session<'_>,
    known: Option<&ListVersion>,
    each: &mut (dyn FnMut(&[TagRef<'_>]) + Send),
) -> Result<Listed, Error> {
    let limits = Limits::new(MAX_PAGE_BYTES, TOTAL_TIME, STALL_TIME);
    let mut scan = Scan { session, each, listing: Listing::default(), before_page: Listing::default() };
    let mut loops = LoopCheck::default();
    let (mut response, seen_with) = match first_page(session, known, &limits).await? {
        Some(first) => first,
        None => return Ok(Listed::Unchanged),
    };
    let mut version = ListVersion::read(response.headers(), seen_with);
    loop {
        let next = next_page(response.headers(), &session.url("tags/list"))
            .map_err(|problem| session.protocol_error(problem))?;
        scan.read_page(response, &limits).await?;
        let Some(next) = next else { return Ok(Listed::Whole(scan.listing, version)) };
        version = None;
        if scan.listing.pages >= MAX_PAGES {
            return Err(scan.too_large(format!("more than {MAX_PAGES} pages")));
        }
        if loops.leads_back(&next, &scan) {
            return Err(session.protocol_error("its pages lead back to one that was read already"));
        }
        response = session.ask(&Method::GET, &next, &JSON, &limits).await?;
        if !response.status().is_success() {
            return Err(session.error(Refusal::read(response, &limits).await, session.repository()));
        }
    }
}

/// Asks for big pages, and for smaller ones where the registry refuses them. `None` where the list is the known one.
async fn first_page(
    session: &Session<'_>,
    known_list: Option<&ListVersion>,
    limits: &Limits,
) -> Result<Option<(Response, u64)>, Error> {
    let known = session.page_size();
    let mut size = known;
    loop {
        let url = size.first_page(session.url("tags/list"));
        let seen_with = session.fingerprint(&url);
        let mut headers = HeaderMap::from_iter([(ACCEPT, JSON)]);
        let known_list = known_list.filter(|known| known.seen_with == seen_with);
        let etag = known_list.and_then(|known| HeaderValue::from_str(&known.etag).ok());
        let is_conditional = etag.is_some();
        headers.extend(etag.map(|etag| (IF_NONE_MATCH, etag)));
        let response = session.ask_with(&Method::GET, &url, &headers, limits).await?;
        if is_conditional && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if response.status().is_success() {
            if size != known {
                session.remember_page_size(size);
            }
            return Ok(Some((response, seen_with)));
        }
        let refusal = Refusal::read(response, limits).await;
        size = match size.next_to_try() {
            Some(smaller) if refusal.may_mean_page_size() => smaller,
            Some(_) | None => return Err(session.error(refusal, session.repository())),
        };
    }
}

struct Scan<'a> {
    session: &'a Session<'a>,
    each: &'a mut (dyn FnMut(&[TagRef<'_>]) + Send),
    listing: Listing,
    before_page: Listing,
}

impl Scan<'_> {
    async fn read_page(&mut self, response: Response, limits: &Limits) -> Result<(), Error> {
        self.before_page = self.listing;
        let bytes = limits.bytes.min(MAX_BYTES.saturating_sub(self.listing.bytes));
        let mut body = Body::new(response, Limits { bytes, ..*limits });
        let mut parser = TagListParser::default();
        while let Some(piece) = body.chunk().await? {
            let (listing, each) = (&mut self.listing, &mut *self.each);
            parser
                .feed(&piece, &mut |item| match item {
                    Item::Tags(tags) => {
                        listing.tags += tags.len() as u64;
                        let hashes = tags.iter().map(|tag| hash(*tag));
                        listing.fingerprint = hashes.fold(listing.fingerprint, u64::wrapping_add);
                        each(tags);
                    }
                    Item::Malformed => listing.malformed += 1,
                })
                .map_err(|error| self.session.protocol_error(error.to_string()))?;
            if self.listing.tags + self.listing.malformed > MAX_NAMES {
                return Err(self.too_large(format!("more than {MAX_NAMES}")));
            }
        }
        parser.finish().map_err(|error| self.session.protocol_error(error.to_string()))?;
        self.listing.bytes += body.bytes_read();
        self.listing.pages += 1;
        Ok(())
    }

    fn too_large(&self, problem: String) -> Error {
        Error::TooLarge {
            host: self.session.host().to_owned(),
            repository: self.session.repository().to_owned(),
            problem,
        }
    }
}

/// The same hash in every process, unlike that of a `HashMap`.
fn hash(tag: TagRef<'_>) -> u64 {
    FixedState::default().hash_one(tag)
}

/// Notices pages that lead in a circle.
#[derive(Default)]
struct LoopCheck {
    hasher: RandomState,
    seen: HashSet<u64>,
    last_page: Option<(u64, u64)>,
}

impl LoopCheck {
    /// Whether `next` was asked for before, or the page just read is the one before it again: a registry that does not
    /// understand its own cursor sends the same page for ever (Artifactory).
    fn leads_back(&mut self, next: &Url, scan: &Scan<'_>) -> bool {
        let tags = scan.listing.tags - scan.before_page.tags;
        let page = (tags, scan.listing.fingerprint.wrapping_sub(scan.before_page.fingerprint));
        let is_same_page = tags > 0 && self.last_page.replace(page) == Some(page);
        is_same_page || !self.seen.insert(self.hasher.hash_one(next.query()))
    }
}
