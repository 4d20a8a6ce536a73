//! What a server said of itself, until there is a reason to doubt it.

use std::sync::{Mutex, PoisonError};

/// What a server said of itself, until there is a reason to doubt it.
pub(super) struct Remembered<T>(Mutex<Option<T>>);

impl<T: Clone> Remembered<T> {
    pub(super) const fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn get(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps an answer, and gives it back.
    pub(super) fn keep(&self, answer: T) -> T {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
        answer
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
