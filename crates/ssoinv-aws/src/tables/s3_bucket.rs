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
use std::sync::{Arc, LazyLock};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Bucket, Owner};
use ssoinv_core::clock::Clock;
use ssoinv_core::failure::Failure;
use ssoinv_core::table::{Column, RowContext, Table, TableInfo};
use ssoinv_http::classify::{classify, invalid_response};
use ssoinv_http::complete_xml::CompleteXml;

use super::columns::{akas, filled, millis, text};
use super::{ListTable, Page};

/// Buckets in a page, at most.
const MAX_BUCKETS: i32 = 10_000;

/// A bucket, and the owner of all buckets of the list.
#[derive(Debug)]
pub(super) struct Row {
    bucket: Bucket,
    owner: Option<Arc<Owner>>,
}

fn arn<'r>(row: &Row, context: &RowContext<'_>) -> Option<Cow<'r, str>> {
    let name = row.bucket.name.as_deref().filter(|name| !name.is_empty())?;
    Some(Cow::Owned(format!("arn:{}:s3:::{name}", context.scope.partition)))
}

static TABLE: LazyLock<Table<Row>> = LazyLock::new(|| {
    let info = TableInfo {
        name: "aws_s3_bucket",
        description: "S3 general purpose buckets",
        noun: ("bucket", "buckets"),
        command: Some("buckets"),
        key: &["arn"],
        default_columns: &["account_id", "account_name", "region", "name", "creation_date"],
    };
    Table::new(&info, columns())
});

fn columns() -> Vec<Column<Row>> {
    vec![
        Column::text("region", "The AWS region that the bucket lies in", |row, _| {
            filled(row.bucket.bucket_region.as_ref())
        }),
        Column::text("name", "The bucket's name", |row, _| text(row.bucket.name.as_ref())),
        Column::timestamp(
            "creation_date",
            "When the bucket was made; a change of its policy may move it",
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

/// The table's registry entry.
#[derive(Debug)]
pub(super) struct S3Bucket;

impl ListTable for S3Bucket {
    type Client = Client;
    type Row = Row;
    const CALL: &'static str = "ListBuckets";
    const GLOBAL: bool = true;

    fn table() -> &'static Table<Row> {
        &TABLE
    }

    async fn page(client: &Client, token: Option<&str>, clock: &Clock) -> Result<Page<Row>, Failure> {
        let request = client
            .list_buckets()
            .max_buckets(MAX_BUCKETS)
            .set_continuation_token(token.map(str::to_owned))
            .customize()
            .interceptor(CompleteXml);
        let answer = request.send().await.map_err(|error| classify(&error, clock))?;
        let buckets = answer.buckets.ok_or_else(|| invalid_response("the answer has no list of buckets"))?;
        let owner = answer.owner.map(Arc::new);
        let rows = buckets.into_iter().map(|bucket| Row { bucket, owner: owner.clone() }).collect();
        Ok(Page { rows, next: answer.continuation_token })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ssoinv_core::failure::Remedy;
    use ssoinv_http::classify::INVALID_RESPONSE;

    use super::*;
    use crate::tables::testing::{asked, page, told};

    const TWO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>79a5</ID></Owner><Buckets>
<Bucket><Name>logs</Name><CreationDate>2019-12-11T23:32:47.000Z</CreationDate><BucketRegion>eu-west-1</BucketRegion>
<BucketArn>arn:aws:s3:::logs</BucketArn></Bucket>
<Bucket><Name>bare</Name></Bucket></Buckets><ContinuationToken>c2</ContinuationToken></ListAllMyBucketsResult>"#;

    #[tokio::test]
    async fn buckets_become_rows() {
        let page = page(&S3Bucket, TWO, None, false).await.expect("a page");
        assert_eq!(page.next.as_deref(), Some("c2"));
        assert_eq!(page.rows.num_rows(), 2);
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
        .assert_eq(&told(&page.rows, 0));
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
        .assert_eq(&told(&page.rows, 1));
    }

    #[tokio::test]
    async fn every_call_is_bounded_and_goes_on_from_its_token() {
        expect!["GET https://s3.eu-west-1.amazonaws.com/?x-id=ListBuckets&max-buckets=10000"]
            .assert_eq(&asked(&S3Bucket, None).await);
        expect!["GET https://s3.eu-west-1.amazonaws.com/?x-id=ListBuckets&max-buckets=10000&continuation-token=a%2Bb%2F%3D"].assert_eq(&asked(&S3Bucket, Some("a+b/=")).await);
    }

    #[tokio::test]
    async fn no_buckets_are_an_empty_page_and_no_list_is_none() {
        for (body, rows) in [
            ("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", Some(0)),
            (
                "<ListAllMyBucketsResult><Buckets></Buckets><ContinuationToken/></ListAllMyBucketsResult>",
                Some(0),
            ),
            ("<ListAllMyBucketsResult></ListAllMyBucketsResult>", None),
            ("<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>", None),
            ("<List><Buckets/></List>", None),
        ] {
            match (page(&S3Bucket, body, None, false).await, rows) {
                (Ok(page), Some(rows)) => {
                    assert_eq!((page.rows.num_rows(), page.next), (rows, None), "{body}");
                }
                (Err(failure), None) => assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{body}"),
                (answer, _) => panic!("{body}: {answer:?}"),
            }
        }
    }

    /// S3 may notice a difficulty after it has begun to answer with a good status.
    #[tokio::test]
    async fn an_error_with_a_good_status_is_an_error() {
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let failure = page(&S3Bucket, body, None, false).await.expect_err("an error");
        assert_eq!(failure.code.as_deref(), Some("SlowDown"));
        assert_eq!(failure.remedy, Remedy::SlowDown { after: None });
    }
}
