//! S3: ListBuckets, as the API reference has it. Pages and `BucketRegion` are only there when `max-buckets` is
//! sent, as with the real service.

use crate::clock;
use crate::http::{Params, Reply, page_start, page_token, push_element};
use crate::keys::Key;
use crate::refusal::Refusal;
use crate::rng;
use crate::state::State;

/// The largest page.
const PAGE: usize = 10_000;

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidArgument", message)
}

/// Answers ListBuckets.
pub(crate) fn list_buckets(state: &State, caller: &Key, params: &Params) -> Result<Reply, Refusal> {
    let organisation = &state.organisation;
    let list = rng::of_parts(&[3, caller.account as u64]);
    let paged = match params.get("max-buckets") {
        None => None,
        Some(text) => match text.parse::<usize>() {
            Ok(size @ 1..=PAGE) => Some(size),
            _ => return Err(invalid("Argument max-buckets must be an integer between 1 and 10000")),
        },
    };
    let start = match params.get("continuation-token") {
        None => 0,
        Some(token) => {
            page_start(list, token).ok_or_else(|| invalid("The continuation token provided is incorrect"))?
        }
    };
    let (prefix, region) = (params.get("prefix").unwrap_or_default(), params.get("bucket-region"));
    let mut found = (start..organisation.bucket_count(caller.account))
        .map(|number| (number, organisation.bucket(caller.account, number)))
        .filter(|(_, bucket)| bucket.name.starts_with(prefix) && region.is_none_or(|r| bucket.region == r));

    let mut xml = String::with_capacity(4096);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner>");
    let owner = state.made_up(&format!("owner/{}", caller.account_id)).hex(64);
    push_element(&mut xml, "ID", &owner);
    xml.push_str("</Owner><Buckets>");
    for (_, bucket) in found.by_ref().take(paged.unwrap_or(usize::MAX)) {
        xml.push_str("<Bucket>");
        push_element(&mut xml, "Name", &bucket.name);
        push_element(&mut xml, "CreationDate", &clock::iso_millis(bucket.created));
        if paged.is_some() {
            push_element(&mut xml, "BucketRegion", &bucket.region);
        }
        push_element(&mut xml, "BucketArn", &format!("arn:{}:s3:::{}", state.partition(), bucket.name));
        xml.push_str("</Bucket>");
    }
    xml.push_str("</Buckets>");
    if !prefix.is_empty() {
        push_element(&mut xml, "Prefix", prefix);
    }
    if let Some((next, _)) = found.next() {
        push_element(&mut xml, "ContinuationToken", &page_token(list, next));
    }
    xml.push_str("</ListAllMyBucketsResult>");
    Ok(Reply::new(200, "application/xml", xml))
}
