//! Reads a paged list to its end.
//!
//! Used by every scan that lists pages. Guarantees that a list without an end, a page token that repeats, and a token
//! that has expired are told apart from a complete list.

use std::collections::HashSet;

use ssoinv_core::failure::{Failure, FailureKind, Remedy};
use ssoinv_http::classify::{INVALID_RESPONSE, invalid_response};
use ssoinv_http::scoped_calls::CallError;

/// One page of a list call, as AWS returned it.
#[derive(Debug)]
pub struct Page<R> {
    /// The items; there may be none although pages follow.
    pub items: Vec<R>,
    /// The token of the next page: absent or empty on the last one.
    pub next: Option<String>,
}

/// Walks the tokens of one list.
#[derive(Debug, Default)]
pub(crate) struct PageTokens {
    current: Option<String>,
    seen: HashSet<String>,
    restarted: bool,
}

impl PageTokens {
    /// Returns the token of the page to read; none for the first.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Goes on to the page that `next` names, and returns whether there is one.
    ///
    /// # Errors
    /// If a token comes a second time: the list would never end.
    pub(crate) fn advance(&mut self, next: Option<String>) -> Result<bool, CallError> {
        let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(false) };
        if !self.seen.insert(next.clone()) {
            return Err(invalid_response("a page token of the list repeats").into());
        }
        self.current = Some(next);
        Ok(true)
    }

    /// Returns to the first page if `failure` may mean that the token has expired. Does so once.
    ///
    /// Services have no common code for an expired token: EC2 calls it an invalid parameter, S3 an invalid argument. So
    /// every refusal of a request that carries a token counts, unless it is about access or pace.
    pub(crate) fn restart_after(&mut self, failure: &Failure) -> bool {
        let refused = failure.kind == FailureKind::Failed
            && failure.remedy == Remedy::None
            && failure.code.as_deref() != Some(INVALID_RESPONSE);
        if self.restarted || self.current.is_none() || !refused {
            return false;
        }
        *self = Self { restarted: true, ..Self::default() };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str) -> Failure {
        Failure::new(FailureKind::Failed, "no").with_code(code)
    }

    #[test]
    fn a_list_ends_without_a_token() {
        let mut tokens = PageTokens::default();
        assert!(tokens.advance(Some("2".to_owned())).expect("a new token"));
        assert_eq!(tokens.current(), Some("2"));
        assert!(!tokens.advance(Some(String::new())).expect("the end"));
        assert!(!tokens.advance(None).expect("the end"));
    }

    #[test]
    fn a_repeated_token_is_an_invalid_response() {
        let mut tokens = PageTokens::default();
        for token in ["2", "3"] {
            assert!(tokens.advance(Some(token.to_owned())).expect("a new token"));
        }
        let error = tokens.advance(Some("2".to_owned())).expect_err("a circle");
        assert_eq!(error.failure.code.as_deref(), Some(INVALID_RESPONSE));
    }

    #[test]
    fn an_expired_token_restarts_the_list_once() {
        let mut tokens = PageTokens::default();
        assert!(!tokens.restart_after(&refusal("InvalidParameterValue")), "the first page has no token");
        tokens.advance(Some("2".to_owned())).expect("a new token");
        let denied = Failure::new(FailureKind::Denied, "no").with_code("AccessDenied");
        assert!(!tokens.restart_after(&denied));
        assert!(tokens.restart_after(&refusal("InvalidParameterValue")));
        assert_eq!(tokens.current(), None);
        assert!(tokens.advance(Some("2".to_owned())).expect("the token is new again"));
        assert!(!tokens.restart_after(&refusal("InvalidParameterValue")), "once");
    }
}
