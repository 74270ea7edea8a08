//! A made-up service and a made-up table of it: what adding one takes.
//!
//! The table lists names, describes each item with a call of its own, and fills one column by a detail call.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use aws_types::SdkConfig;
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::pace::PaceLimits;
use ssoinv_core::scope::Place;
use ssoinv_core::service::ServiceInfo;
use ssoinv_core::table::{Column, RowEncoder, TableInfo};
use ssoinv_http::attempt_error::AttemptError;
use ssoinv_http::scoped_calls::{CallError, Service};
use ssoinv_http::test_util::{CannedHttp, TestCaller};
use ssoinv_tables::declaration::{DetailCall, TableDeclaration};
use ssoinv_tables::paging::Page;
use ssoinv_tables::table::{Missed, Pages, Table, Wanted};

/// The made-up service; its client is the region that it is called in.
struct Zoo;

impl Service for Zoo {
    type Client = String;

    const INFO: &'static ServiceInfo = &ServiceInfo {
        id: "Zoo",
        signing_name: "zoo",
        endpoint_prefix: "zoo",
        limits: PaceLimits::UNDOCUMENTED,
    };

    fn client(config: &SdkConfig) -> Self::Client {
        config.region().map(ToString::to_string).unwrap_or_default()
    }
}

struct Animal {
    name: String,
    legs: i64,
    keeper: Option<String>,
}

fn table() -> TableDeclaration<Animal> {
    let info = TableInfo {
        name: "aws_zoo_animal",
        description: "Animals",
        noun: ("animal", "animals"),
        command: None,
        key: &["name"],
        default_columns: &["name", "legs"],
    };
    let columns = [
        Column::text("name", "The animal's name", |animal: &Animal, _| Some(Cow::from(&animal.name))),
        Column::integer("legs", "The number of legs", |animal| Some(animal.legs)),
        Column::text("keeper", "The keeper's name", |animal, _| animal.keeper.as_deref().map(Cow::from)),
    ];
    let keeper = DetailCall::new::<Zoo, _, _>("GetKeeper", ["keeper"], get_keeper, |animal, keeper| {
        animal.keeper = Some(keeper);
    });
    TableDeclaration::list_then_describe::<Zoo, _, _, _>(
        RowEncoder::new(&info, columns),
        ("ListAnimals", list_animals),
        ("DescribeAnimal", describe_animal),
    )
    .detail(keeper.not_configured(&["NoSuchKeeper"]).in_region(|_| Some("us-west-2")))
}

async fn list_animals(_: String, token: Option<String>) -> Result<Page<&'static str>, AttemptError> {
    Ok(match token {
        None => Page { items: vec!["bee", "cat"], next: Some("2".to_owned()) },
        Some(_) => Page { items: vec!["dodo", "eel", "fox"], next: None },
    })
}

async fn describe_animal(_: String, name: &'static str) -> Result<Option<Animal>, AttemptError> {
    let legs = match name {
        "bee" => 6,
        "dodo" => return Ok(None),
        "eel" => 0,
        _ => 4,
    };
    Ok(Some(Animal { name: name.to_owned(), legs, keeper: None }))
}

fn get_keeper(region: String, animal: &Animal) -> impl Future<Output = Result<String, AttemptError>> + use<> {
    let name = animal.name.clone();
    async move {
        match &*name {
            "bee" => Err(Failure::new(FailureKind::Failed, "none").with_code("NoSuchKeeper").into()),
            "cat" => Err(Failure::new(FailureKind::Denied, "no").with_code("AccessDenied").into()),
            name => Ok(format!("{name}-keeper in {region}")),
        }
    }
}

#[derive(Default)]
struct Received {
    pages: Vec<RecordBatch>,
    missed: Vec<Missed>,
}

impl Pages for Received {
    fn push(&mut self, page: RecordBatch) -> BoxFuture<'_, Result<(), CallError>> {
        self.pages.push(page);
        std::future::ready(Ok(())).boxed()
    }

    fn restart(&mut self) {
        *self = Self::default();
    }

    fn missed(&mut self, missed: Missed) {
        self.missed.push(missed);
    }
}

/// Scans for `columns`, and returns what came and how often each operation was called.
async fn scan(columns: &[&str]) -> (Received, String) {
    let table = table();
    let columns: ColumnSet =
        columns.iter().map(|column| table.schema().column(column).expect("a column")).collect();
    let planned: Vec<_> = table.calls(&columns).iter().map(|call| call.operation).collect();
    let calls = TestCaller::new(&CannedHttp::ok(""), 1).calls(Place::Region("eu-west-1".into()));
    let wanted = Wanted { required: columns.clone(), columns, include_secrets: false };
    let mut received = Received::default();
    let table: Arc<dyn Table> = Arc::new(table);
    table.scan(&calls, &wanted, &mut received).await.expect("a complete scan");
    let log = calls.log();
    let count = |operation: &&str| {
        format!("{operation} {}", log.operations.get(*operation).map_or(0, |stats| stats.calls))
    };
    assert_eq!(log.operations.len(), planned.len(), "no call but the planned ones");
    (received, planned.iter().map(count).collect::<Vec<_>>().join(", "))
}

fn texts(page: &RecordBatch, column: &str) -> String {
    let texts = page.column_by_name(column).expect(column).as_string::<i32>();
    texts.iter().map(|text| text.unwrap_or("-")).collect::<Vec<_>>().join(", ")
}

#[tokio::test(start_paused = true)]
async fn list_columns_need_no_detail_call() {
    let (received, calls) = scan(&["name", "legs"]).await;
    assert_eq!(calls, "ListAnimals 2, DescribeAnimal 5");
    let names: Vec<_> = received.pages.iter().map(|page| texts(page, "name")).collect();
    assert_eq!(names, ["bee, cat", "eel, fox"], "an item that was deleted meanwhile has no row");
    assert!(received.missed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_detail_call_fills_its_column_or_names_it() {
    let (received, calls) = scan(&["keeper"]).await;
    assert_eq!(calls, "ListAnimals 2, DescribeAnimal 5, GetKeeper 4");
    assert_eq!(texts(&received.pages[0], "keeper"), "-, -");
    assert_eq!(texts(&received.pages[0], "_not_collected"), r#"-, ["keeper"]"#);
    let in_region = "eel-keeper in us-west-2, fox-keeper in us-west-2";
    assert_eq!(texts(&received.pages[1], "keeper"), in_region);
    let missed: Vec<_> = received.missed.iter().map(|missed| (missed.operation, &*missed.resource)).collect();
    assert_eq!(missed, [("GetKeeper", "cat")], "what isn't configured isn't missed");
}
