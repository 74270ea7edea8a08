//! `aws_s3_bucket`: S3's ListBuckets, once an account.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
//!
//! - Answers for all regions, from any of them. General-purpose buckets only: directory and table buckets have calls of
//!   their own.
//! - Only with `MaxBuckets` are pages bounded and `BucketRegion` given, so it is always sent. Its largest value is
//!   10,000, which is also an account's default quota: nearly every account is one page, so one moment's list.
//! - Servers that speak S3 but give no `BucketRegion` leave `region` null.
//! - `Buckets` is there, empty, where there are none.

use std::borrow::Cow;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Bucket, Owner};
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::table::{Column, RowContext, RowEncoder, TableInfo};
use ssoinv_http::attempt_error::AttemptError;
use ssoinv_http::classify::invalid_response;
use ssoinv_http::scoped_calls::ScopedCalls;

use crate::column_values::{akas, filled, millis, text};
use crate::declaration::{TableDeclaration, Unreadable};
use crate::paging::Page;
use crate::services::S3;
use crate::table::Table;

/// Buckets in a page, at most.
const MAX_BUCKETS: i32 = 10_000;

/// A bucket, and the owner of all buckets of the list.
#[derive(Debug)]
struct Item {
    bucket: Bucket,
    owner: Option<Arc<Owner>>,
}

/// `aws_s3_bucket`.
pub(crate) fn table() -> impl Table {
    let info = TableInfo {
        name: "aws_s3_bucket",
        description: "S3 general purpose buckets",
        noun: ("bucket", "buckets"),
        command: Some("buckets"),
        key: &["arn"],
        default_columns: &["account_id", "account_name", "region", "name", "creation_date"],
    };
    let rows = RowEncoder::new(&info, columns());
    TableDeclaration::list::<S3, _>(rows, "ListBuckets", list_buckets).account_wide().unreadable(unreadable)
}

/// From other regions S3 returns the last change of a bucket's policy as its creation date.
fn unreadable(_: &Item, calls: &ScopedCalls) -> Vec<Unreadable> {
    let region = calls.region();
    if region == calls.scope().partition.default_region() {
        return Vec::new();
    }
    let message = format!("region `{region}` does not give creation dates");
    let failure = Failure::new(FailureKind::Denied, message).with_code("OtherRegion");
    vec![Unreadable { column: "creation_date", failure }]
}

async fn list_buckets(client: Client, token: Option<String>) -> Result<Page<Item>, AttemptError> {
    let request = client.list_buckets().max_buckets(MAX_BUCKETS).set_continuation_token(token);
    let response = request.send().await?;
    let buckets =
        response.buckets.ok_or_else(|| invalid_response("ListBuckets returned no list of buckets"))?;
    let owner = response.owner.map(Arc::new);
    let items = buckets.into_iter().map(|bucket| Item { bucket, owner: owner.clone() }).collect();
    Ok(Page { items, next: response.continuation_token })
}

fn arn<'r>(item: &Item, context: &RowContext<'_>) -> Option<Cow<'r, str>> {
    let name = item.bucket.name.as_deref().filter(|name| !name.is_empty())?;
    Some(Cow::Owned(format!("arn:{}:s3:::{name}", context.scope.partition)))
}

fn columns() -> Vec<Column<Item>> {
    vec![
        Column::text("region", "The AWS region that the bucket lies in", |row, _| {
            filled(row.bucket.bucket_region.as_ref())
        }),
        Column::text("name", "The bucket's name", |row, _| text(row.bucket.name.as_ref())),
        Column::timestamp(
            "creation_date",
            "When the bucket was created, as the partition's own region gives it",
            |row| millis(row.bucket.creation_date.as_ref()),
        ),
        Column::text("title", "The bucket's name", |row, _| text(row.bucket.name.as_ref())),
        Column::text("arn", "The bucket's ARN", |row, context| arn(row, context)),
        Column::json("akas", "The bucket's ARN, as a list", |row, context, json| {
            akas(json, arn(row, context));
        }),
        Column::text("owner_id", "The canonical user ID of the account that owns the bucket", |row, _| {
            row.owner.as_ref().and_then(|owner| filled(owner.id.as_ref()))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;
    use expect_test::expect;
    use ssoinv_core::column_set::ColumnSet;
    use ssoinv_core::failure::Remedy;
    use ssoinv_http::classify::INVALID_RESPONSE;

    use super::*;
    use crate::table::Wanted;
    use crate::testing::{CannedHttp, Scanned, calls, page, scan, shown};

    const EMPTY: &str = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";

    const TWO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>79a5</ID></Owner><Buckets>
<Bucket><Name>logs</Name><CreationDate>2019-12-11T23:32:47.000Z</CreationDate><BucketRegion>eu-west-1</BucketRegion>
<BucketArn>arn:aws:s3:::logs</BucketArn></Bucket>
<Bucket><Name>bare</Name></Bucket></Buckets><ContinuationToken>a+b/=</ContinuationToken></ListAllMyBucketsResult>"#;

    #[tokio::test]
    async fn buckets_become_rows_page_by_page() {
        let http = CannedHttp::pages([TWO, EMPTY]);
        let pages = scan(&table(), &http, &[], false).await.expect("two pages").pages;
        assert_eq!(pages.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 0]);
        expect![[r#"
            GET https://s3.us-east-1.amazonaws.com/?x-id=ListBuckets&max-buckets=10000
            GET https://s3.us-east-1.amazonaws.com/?x-id=ListBuckets&max-buckets=10000&continuation-token=a%2Bb%2F%3D"#]]
        .assert_eq(&http.requests().join("\n"));
        expect![[r#"
            account_id `001122334455`
            account_name `audit`
            region
            name `bare`
            creation_date
            title `bare`
            arn `arn:aws:s3:::bare`
            akas `["arn:aws:s3:::bare"]`
            owner_id `79a5`
            partition `aws`
            profile `dev`
            role_name `Audit`
            _not_collected
        "#]]
        .assert_eq(&shown(&pages[0], 0));
        expect![[r#"
            account_id `001122334455`
            account_name `audit`
            region `eu-west-1`
            name `logs`
            creation_date 2019-12-11T23:32:47Z
            title `logs`
            arn `arn:aws:s3:::logs`
            akas `["arn:aws:s3:::logs"]`
            owner_id `79a5`
            partition `aws`
            profile `dev`
            role_name `Audit`
            _not_collected
        "#]]
        .assert_eq(&shown(&pages[0], 1));
    }

    /// S3 returns a bucket's true creation date only from the partition's own region.
    #[tokio::test]
    async fn another_region_gives_no_creation_date() {
        let calls = calls(&CannedHttp::pages([TWO, EMPTY]));
        let table = table();
        let columns = ColumnSet::full(table.schema().columns.len());
        let wanted = Wanted { required: ColumnSet::new(), columns, include_secrets: false };
        let mut scanned = Scanned::default();
        table.scan(&calls, &wanted, &mut scanned).await.expect("two pages");
        let row = shown(&scanned.pages[0], 1);
        for line in ["creation_date", r#"_not_collected `["creation_date"]`"#] {
            assert!(row.lines().any(|shown| shown == line), "{line} isn't in {row}");
        }
        assert_eq!(scanned.missed.len(), 2);
    }

    #[tokio::test]
    async fn an_absent_list_is_not_an_empty_one() {
        for (body, rows) in [
            (EMPTY, Some(0)),
            (
                "<ListAllMyBucketsResult><Buckets></Buckets><ContinuationToken/></ListAllMyBucketsResult>",
                Some(0),
            ),
            ("<ListAllMyBucketsResult></ListAllMyBucketsResult>", None),
            ("<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>", None),
            ("<List><Buckets/></List>", None),
        ] {
            match (page(&table(), body).await, rows) {
                (Ok(page), Some(rows)) => assert_eq!(page.num_rows(), rows, "{body}"),
                (Err(failure), None) => assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}"),
                (result, _) => panic!("{body}: {result:?}"),
            }
        }
    }

    /// S3 can fail after it has sent status 200.
    #[tokio::test]
    async fn an_error_with_status_200_is_an_error() {
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let failure = page(&table(), body).await.expect_err("an error");
        assert_eq!(failure.code.as_deref(), Some("SlowDown"));
        assert_eq!(failure.remedy, Remedy::SlowDown { after: None });
    }
}
