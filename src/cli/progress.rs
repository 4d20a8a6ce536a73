//! How far long work has come: on standard error, on a terminal only, and gone when the work is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner is not worth a bar that flickers.
const PATIENCE: Duration = Duration::from_millis(400);

/// Progress of work that is counted.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    done: AtomicU64,
}

impl Progress {
    /// Of so many steps; `what` follows the count, such as `images asked for`.
    pub(super) fn towards(total: usize, what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{bar:24.green/dim} {pos} of {len} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        // Where standard error is no terminal, this target draws nothing.
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let bar = bar.with_style(style.progress_chars("━━─")).with_message(what);
        // Drawn once in this time, so that work that stands still is seen too.
        bar.enable_steady_tick(PATIENCE);
        Self { bar, began: Instant::now(), done: AtomicU64::new(0) }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.began.elapsed() > PATIENCE {
            self.bar.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
