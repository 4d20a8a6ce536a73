//! Signatures of requests to AWS: Signature Version 4 ("Create a signed AWS API request", IAM User Guide).

use jiff::Timestamp;
use ring::hmac;
use sha2::{Digest as _, Sha256};

use crate::net::SecretText;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Keys of AWS, as they are handed out for a short time.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: SecretText,
    pub(super) session: SecretText,
}

/// What is signed: a request without a query to the root of a host.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// In lower case and in their order; `host` and `x-amz-date` must be among them.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The moment as `x-amz-date` has it.
pub(super) fn date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The header `authorization`; `date` is that of `x-amz-date`.
pub(super) fn authorization(request: &Request<'_>, id: &str, secret: &SecretText, date: &str) -> String {
    let Request { method, headers, body, region, service } = request;
    let day = date.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = format!("{method}\n/\n\n{lines}\n{names}\n{}", hex(&Sha256::digest(body)));
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let first = format!("AWS4{}", secret.expose()).into_bytes();
    let key = [day, region, service, "aws4_request"].iter().fold(first, |key, part| keyed(&key, part));
    let signature = hex(&keyed(&key, &to_sign));
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "20150830T123600Z";

    fn signature(method: &str, headers: &[(&str, &str)]) -> String {
        let request = Request { method, headers, body: b"", region: "us-east-1", service: "service" };
        let secret = SecretText::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        authorization(&request, "AKIDEXAMPLE", &secret, DATE)
    }

    /// `get-vanilla`, `post-vanilla` and `get-header-key-duplicate`'s plain sibling of AWS's "Signature Version 4 test suite".
    #[test]
    fn signs_the_published_requests_as_published() {
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", DATE)];
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature=";
        for (method, expected) in [
            ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            assert_eq!(signature(method, &headers), format!("{scope}{expected}"));
        }
    }

    #[test]
    fn writes_the_moment_as_aws_reads_it() {
        assert_eq!(date("2015-08-30T12:36:00.7Z".parse().unwrap()), DATE);
    }
}
