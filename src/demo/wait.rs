//! Waiting for something to become so, with an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::DemoError;

/// How long anything may take that should take a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// What a look saw.
pub(super) enum Look<T> {
    /// It is so.
    Done(T),
    /// Not yet; this is what there is instead.
    Not(String),
}

/// Looks again and again, for ten seconds.
pub(super) async fn wait_for<T>(
    what: &str,
    look: impl AsyncFnMut() -> Result<Look<T>, DemoError>,
) -> Result<T, DemoError> {
    wait_longer_for(what, PATIENCE, look).await
}

/// Looks again and again, for some time.
pub(super) async fn wait_longer_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>, DemoError>,
) -> Result<T, DemoError> {
    let deadline = Instant::now() + patience;
    loop {
        match look().await? {
            Look::Done(value) => return Ok(value),
            Look::Not(saw) if Instant::now() > deadline => {
                return Err(DemoError::Waited { what: what.to_owned(), patience, saw });
            }
            Look::Not(_) => sleep(PAUSE).await,
        }
    }
}
