//! What a session sends so that the registry knows who asks.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::{Session, Shows, authorized};
use crate::net::{Limits, read_capped};
use crate::registry::challenge::{Bearer, Challenge};
use crate::registry::form::{FORM, form, with_query};
use crate::registry::kept::Fresh;
use crate::registry::refusal::Refusal;
use crate::registry::token::{TokenKey, read_token};
use crate::registry::{Credential, Error, realm};

/// The most that is read of a token server's answer, in bytes.
const MAX_TOKEN_ANSWER: u64 = 64 * 1024;

impl Session<'_> {
    /// What to send from what is known about the host, before it is asked.
    pub(super) async fn known_authorization(&self, limits: &Limits) -> Result<Option<HeaderValue>, Error> {
        let known = match self.shared.challenges.get(&self.origin) {
            Some(known) => known,
            // Without a credential there is nothing to send but an anonymous token, and a 401 tells where to get one.
            None if self.access.credential.is_none() => return Ok(None),
            None => self.learned.get_or_try_init(|| self.learn_challenge(limits)).await?.clone(),
        };
        match known {
            None => Ok(None),
            Some(Challenge::Basic) => match &self.access.credential {
                Some(Credential::Password { username, password }) => {
                    Ok(Some(self.basic(username, password.expose())?))
                }
                Some(Credential::IdentityToken(_)) | None => Ok(None),
            },
            Some(Challenge::Bearer(bearer)) => {
                let bearer = Bearer { scope: None, ..bearer };
                Ok(Some(self.token(&bearer, None, limits).await?))
            }
        }
    }

    /// Asks `/v2/` what the host wants to know, as the specification's "Determining Support" lets it say. A repository
    /// that is open to all would not say it, and then the credential would never be used.
    async fn learn_challenge(&self, limits: &Limits) -> Result<Option<Challenge>, Error> {
        let mut url = self.base.clone();
        url.set_path("/v2/");
        let response = self.send(Shows::Nothing, limits, || self.http.get(url.clone())).await?;
        let challenge = match response.status() {
            StatusCode::UNAUTHORIZED => Challenge::from_headers(response.headers()),
            _ => None,
        };
        let status = response.status();
        let refusal = Refusal::read(response, limits).await;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.error(refusal, self.repository()));
        }
        // What is not there, or forbidden to all, says nothing of who may ask: the next one looks again, as the credential
        // would never be used otherwise.
        if status.is_success() || challenge.is_some() {
            self.shared.challenges.insert(self.origin.clone(), challenge.clone());
        }
        Ok(challenge)
    }

    /// What to send after a 401 that came in spite of `sent`.
    pub(super) async fn authorization_for(
        &self,
        challenge: Option<Challenge>,
        sent: Option<HeaderValue>,
        refusal: Refusal,
        limits: &Limits,
    ) -> Result<HeaderValue, Error> {
        let no_common = |problem| Error::NoCommonScheme { host: self.host().to_owned(), problem };
        let challenge = challenge.ok_or(no_common("offers neither Basic nor Bearer authentication"))?;
        self.shared.challenges.insert(self.origin.clone(), Some(challenge.clone()));
        match (challenge, &self.access.credential) {
            (Challenge::Bearer(bearer), _) => self.token(&bearer, sent.as_ref(), limits).await,
            (Challenge::Basic, None) => Err(self.unauthorized(refusal)),
            (Challenge::Basic, Some(Credential::IdentityToken(_))) => {
                Err(no_common("wants a user and a password, and an identity token is given"))
            }
            (Challenge::Basic, Some(Credential::Password { username, password })) => {
                let basic = self.basic(username, password.expose())?;
                if sent.as_ref() == Some(&basic) { Err(self.unauthorized(refusal)) } else { Ok(basic) }
            }
        }
    }

    pub(super) fn unauthorized(&self, refusal: Refusal) -> Error {
        let (host, repository) = (self.host().to_owned(), self.repository().to_owned());
        let said = refusal.said;
        match self.access.credential {
            Some(_) => Error::CredentialsRefused { host, repository, said },
            None => Error::CredentialsMissing { host, repository, said },
        }
    }

    fn basic(&self, username: &str, password: &str) -> Result<HeaderValue, Error> {
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let mut header = HeaderValue::try_from(format!("Basic {encoded}"))
            .map_err(|_| self.protocol_error("user and password fit into no header"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn token(
        &self,
        bearer: &Bearer,
        rejected: Option<&HeaderValue>,
        limits: &Limits,
    ) -> Result<HeaderValue, Error> {
        let key = TokenKey {
            origin: self.origin.clone(),
            repository: self.repository().to_owned(),
            access: self.access.clone(),
        };
        self.shared.tokens.get(key, rejected, Instant::now(), || self.fetch_token(bearer, limits)).await
    }

    /// Asks the token server: GET with user and password or with nothing ("Token Authentication" of the distribution
    /// project), POST with an identity token ("OAuth2 Token Authentication" there).
    async fn fetch_token(&self, bearer: &Bearer, limits: &Limits) -> Result<Fresh<HeaderValue>, Error> {
        let realm = realm::trusted(&bearer.realm, &self.base, &self.access.host.allowed_realms)?;
        let scope = bearer.scope_for(self.repository());
        let mut asked = vec![("scope", scope.as_str())];
        asked.extend(bearer.service.as_deref().map(|service| ("service", service)));
        let shows = Shows::Credential;
        let response = match &self.access.credential {
            None => self.send(Shows::Nothing, limits, || self.http.get(with_query(&realm, &asked))).await?,
            Some(Credential::Password { username, password }) => {
                let basic = self.basic(username, password.expose())?;
                let url = with_query(&realm, &asked);
                self.send(shows, limits, || authorized(self.http.get(url.clone()), Some(&basic))).await?
            }
            Some(Credential::IdentityToken(token)) => {
                asked.extend([("grant_type", "refresh_token"), ("client_id", "tagtide")]);
                asked.push(("refresh_token", token.expose()));
                let form = form(&realm, &asked);
                let post = || self.http.post(realm.clone()).header(CONTENT_TYPE, FORM);
                self.send(shows, limits, || post().body(form.clone())).await?
            }
        };
        let server = realm::origin(&realm);
        if !response.status().is_success() {
            let refusal = Refusal::read(response, limits).await;
            return Err(match refusal.status.as_u16() {
                status @ (400..=428 | 430..=499) => Error::TokenRefused {
                    host: self.host().to_owned(),
                    realm: server,
                    repository: self.repository().to_owned(),
                    status,
                    said: refusal.said,
                },
                _ => refusal.into_error(&server, self.repository(), self.repository()),
            });
        }
        let body = read_capped(response, Limits { bytes: MAX_TOKEN_ANSWER, ..*limits }).await?;
        read_token(&body, Instant::now()).map_err(|problem| Error::Protocol { host: server, problem })
    }
}
