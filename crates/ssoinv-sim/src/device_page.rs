//! `/device`: the page that a device sign-in opens in the browser. `dispatch.rs` calls it.

use hyper::Method;

use crate::encoding::push_xml;
use crate::http::{Params, Request, Response};
use crate::state::State;
use crate::sync::lock;

/// Shows the page, or takes the decision on it.
pub(crate) fn page(state: &State, request: &Request, params: &Params) -> Response {
    let code = params.get("user_code").unwrap_or_default();
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Simulated sign-in</title><h1>Simulated sign-in</h1>",
    );
    if request.method == Method::POST {
        let approve = params.get("decision") == Some("approve");
        let was_pending = lock(&state.sign_ins).decide(Some(code), approve);
        page.push_str(if was_pending {
            "<p>Done. You can close this page.</p>"
        } else {
            "<p>This code isn't pending.</p>"
        });
        return Response::new(if was_pending { 200 } else { 404 }, "text/html; charset=utf-8", page);
    }
    page.push_str("<p>This is ssoinv's simulator; nothing here is AWS.</p><form method=post action=/device><input name=user_code value=\"");
    push_xml(&mut page, code);
    page.push_str(
        "\"> <button name=decision value=approve>Allow</button> <button name=decision value=deny>Deny</button></form>",
    );
    Response::new(200, "text/html; charset=utf-8", page)
}
