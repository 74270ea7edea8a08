//! Tokens of pages. The services put them into their responses and read them from the next request.

use crate::rng;

/// Returns an opaque token for a position in a list.
///
/// The token contains characters that must be escaped in a query, and fits only the list that issued it.
pub(crate) fn page_token(list: u64, next: usize) -> String {
    format!("eyJ2Ijoy+{next:x}/{:016x}==", rng::of_parts(&[list, next as u64]))
}

/// Returns the position that a token stands for; `None` if this list did not issue it.
pub(crate) fn page_start(list: u64, token: &str) -> Option<usize> {
    let next = token.strip_prefix("eyJ2Ijoy+")?.split('/').next()?;
    let next = usize::from_str_radix(next, 16).ok()?;
    (page_token(list, next) == token).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_fits_its_own_list_only() {
        let token = page_token(5, 1000);
        assert_eq!(page_start(5, &token), Some(1000));
        assert_eq!(page_start(6, &token), None);
        assert_eq!(page_start(5, "1000"), None);
        assert_eq!(page_start(5, &token.replace("3e8", "3e9")), None);
    }
}
