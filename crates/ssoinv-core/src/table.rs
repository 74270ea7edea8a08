//! Tables: a schema, and the columns that turn rows of AWS's into Arrow record batches.
//!
//! A table's file lists its [`Column`]s; the Arrow schema, `ssoinv tables`, each output format and SQL follow from that
//! list. The columns that every table has (`account_id`, `profile`, …) are added here.

mod arrays;
mod column;
mod row_keys;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use self::arrays::{ArrayBuilder, RowRef};
use self::column::Extract;
pub use self::column::{Column, ColumnInfo, ColumnType, RowContext, TYPE_KEY};
pub use self::row_keys::{KEY_KEY, RowKeys};
use crate::column_set::ColumnSet;
use crate::scope::{Partition, Place, Scope};

/// Returns the columns in front of a table's own.
fn leading<R>() -> [Column<R>; 2] {
    [
        Column::text("account_id", "The AWS account that the row belongs to, twelve digits", |_, context| {
            context.scope.account_id.as_ref().map(|id| Cow::from(id.as_str()))
        }),
        Column::text("account_name", "The account's name in the organisation", |_, context| {
            context.scope.account_name.as_deref().map(Cow::from)
        }),
    ]
}

/// Returns the columns behind a table's own.
fn trailing<R>() -> [Column<R>; 4] {
    [
        Column::text("partition", "The AWS partition: aws, aws-cn, aws-us-gov", |_, context| {
            Some(Cow::from(context.scope.partition.as_str()))
        }),
        Column::text("profile", "The profile whose credentials found the row", |_, context| {
            context.scope.profile.as_deref().map(Cow::from)
        }),
        Column::text("role_name", "The role whose credentials found the row", |_, context| {
            context.scope.role_name.as_deref().map(Cow::from)
        }),
        Column::missing(
            "_not_collected",
            "The columns of this row that could not be read and are null for that reason; null where there are none",
        ),
    ]
}

/// The word for rows of a table in messages: one bucket, two buckets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noun {
    /// The word for one row.
    pub singular: Arc<str>,
    /// The word for any other number of rows.
    pub plural: Arc<str>,
}

impl Noun {
    fn new((singular, plural): (&str, &str)) -> Self {
        Self { singular: singular.into(), plural: plural.into() }
    }

    /// Returns the word for `number` rows.
    #[must_use]
    pub fn of(&self, number: u64) -> &str {
        if number == 1 { &self.singular } else { &self.plural }
    }
}

/// The facts about a table that its columns don't tell.
#[derive(Clone, Copy, Debug)]
pub struct TableInfo<'a> {
    /// The name, Steampipe's if its AWS plugin has the table: `aws_s3_bucket`.
    pub name: &'a str,
    /// One sentence, without a final stop.
    pub description: &'a str,
    /// The words for one row and for several: `("bucket", "buckets")`.
    pub noun: (&'a str, &'a str),
    /// The command that lists this table alone: `buckets`.
    pub command: Option<&'a str>,
    /// The columns that identify a row within a task. Text, integers and booleans only.
    pub key: &'a [&'a str],
    /// The columns that a terminal shows if none are named.
    pub default_columns: &'a [&'a str],
}

/// Names, types and schema of a table, without the functions that fill it.
#[derive(Clone, Debug)]
pub struct TableSchema {
    /// The name: `aws_s3_bucket`.
    pub name: Arc<str>,
    /// One sentence, without a final stop.
    pub description: Arc<str>,
    /// The word for its rows.
    pub noun: Noun,
    /// The command that lists this table alone: `buckets`.
    pub command: Option<Arc<str>>,
    /// All columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// The indices of the key columns: a task's rows are sorted by them, and rows with the same key are one row.
    pub key: Vec<usize>,
    /// The indices of the columns that a terminal shows if none are named.
    pub default_columns: Vec<usize>,
    /// The Arrow schema of [`TableSchema::columns`]; its metadata holds the key.
    pub schema: SchemaRef,
}

impl TableSchema {
    /// Makes a schema of `columns`.
    ///
    /// # Panics
    /// In debug builds, if a name in `info` is no column, or if a key column has a type that can't be one.
    fn new(info: &TableInfo<'_>, columns: Vec<ColumnInfo>) -> Self {
        let index = |name: &&str| {
            let index = columns.iter().position(|column| *column.name == **name);
            debug_assert!(index.is_some(), "table {} has no column {name}", info.name);
            index
        };
        let key: Vec<usize> = info.key.iter().filter_map(index).collect();
        let default_columns = info.default_columns.iter().filter_map(index).collect();
        debug_assert!(key.iter().all(|&index| columns[index].column_type.can_be_key()), "{}", info.name);
        let indices: Vec<String> = key.iter().map(usize::to_string).collect();
        let metadata = (!key.is_empty()).then(|| (KEY_KEY.to_owned(), indices.join(",")));
        let fields: Vec<_> = columns.iter().map(ColumnInfo::field).collect();
        let schema = Schema::new(fields).with_metadata(HashMap::from_iter(metadata));
        Self {
            name: info.name.into(),
            description: info.description.into(),
            noun: Noun::new(info.noun),
            command: info.command.map(Arc::from),
            columns,
            key,
            default_columns,
            schema: Arc::new(schema),
        }
    }

    /// Returns the index of the column with this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column.name == *name)
    }
}

/// A row: the item that its values come from, and the columns that could not be read.
#[derive(Clone, Debug)]
pub struct Row<R> {
    /// The source of the values.
    pub item: R,
    /// The indices of the columns that could not be read: null, and named in `_not_collected`.
    pub missing: ColumnSet,
}

impl<R> Row<R> {
    /// Makes a row that misses nothing.
    pub const fn new(item: R) -> Self {
        Self { item, missing: ColumnSet::new() }
    }
}

/// A table whose rows come from items of type `R`: the schema, and the functions that fill it.
pub struct RowEncoder<R> {
    /// The sources of the columns' values, in the schema's order.
    extracts: Vec<Extract<R>>,
    /// Names, types and schema.
    pub schema: Arc<TableSchema>,
}

impl<R> RowEncoder<R> {
    /// Makes a table of AWS's, with its `own` columns between the columns that every table has.
    #[must_use]
    pub fn new(info: &TableInfo<'_>, own: impl IntoIterator<Item = Column<R>>) -> Self {
        Self::with_columns(info, leading().into_iter().chain(own).chain(trailing()).collect())
    }

    /// Makes a table with nothing but `columns` and no key, for data that isn't AWS's, such as the ledger.
    #[must_use]
    pub fn plain(name: &str, description: &str, columns: Vec<Column<R>>) -> Self {
        let names: Vec<Arc<str>> = columns.iter().map(|column| Arc::clone(&column.info.name)).collect();
        let default_columns: Vec<&str> = names.iter().map(|name| &**name).collect();
        let (noun, command, key) = (("row", "rows"), None, &[][..]);
        let info = TableInfo { name, description, noun, command, key, default_columns: &default_columns };
        Self::with_columns(&info, columns)
    }

    fn with_columns(info: &TableInfo<'_>, columns: Vec<Column<R>>) -> Self {
        let (infos, extracts) = columns.into_iter().map(|column| (column.info, column.extract)).unzip();
        Self { extracts, schema: Arc::new(TableSchema::new(info, infos)) }
    }

    /// Makes one record batch of `rows`, sorted by their keys.
    ///
    /// Pages that are sorted already are cheap to merge: the store sorts the rows of a task once more. Of rows with the
    /// same key, the first stays in front.
    ///
    /// # Errors
    /// When Arrow refuses the arrays: a column of more than 2 GiB, or a bug in this module.
    pub fn batch(&self, rows: &[Row<R>], context: &RowContext<'_>) -> Result<RecordBatch, ArrowError> {
        let mut rows: Vec<RowRef<'_, R>> =
            rows.iter().map(|row| RowRef { item: &row.item, missing: &row.missing }).collect();
        self.sort(&mut rows, context)?;
        self.build(&rows, context)
    }

    /// Makes one record batch of items of a [plain](RowEncoder::plain) table, in the given order.
    ///
    /// # Errors
    /// As [`RowEncoder::batch`].
    pub fn plain_batch(&self, items: &[R]) -> Result<RecordBatch, ArrowError> {
        // Columns of plain tables don't look at the scope.
        let scope = Scope {
            partition: Partition::default(),
            account_id: None,
            account_name: None,
            role_name: None,
            profile: None,
            place: Place::Unset,
        };
        let missing = ColumnSet::new();
        let rows: Vec<_> = items.iter().map(|item| RowRef { item, missing: &missing }).collect();
        self.build(&rows, &RowContext { scope: &scope, include_secrets: false })
    }

    /// Returns true if each item has a value in some key column.
    ///
    /// # Errors
    /// As [`RowEncoder::batch`].
    pub fn all_have_keys(&self, items: &[R], context: &RowContext<'_>) -> Result<bool, ArrowError> {
        let missing = ColumnSet::new();
        let rows: Vec<_> = items.iter().map(|item| RowRef { item, missing: &missing }).collect();
        let keys = self.keys(&rows, context)?;
        Ok((0..rows.len()).all(|row| keys.has_key(row)))
    }

    /// Returns an item's key as text, for messages: the values of the key columns, separated by blanks.
    #[must_use]
    pub fn key_text(&self, item: &R, context: &RowContext<'_>) -> String {
        let missing = ColumnSet::new();
        // A key that can't be built names nothing.
        self.keys(&[RowRef { item, missing: &missing }], context).map(|keys| keys.text(0)).unwrap_or_default()
    }

    fn keys(&self, rows: &[RowRef<'_, R>], context: &RowContext<'_>) -> Result<RowKeys, ArrowError> {
        let mut arrays = ArrayBuilder::new(rows, context, &self.schema.columns);
        let key = self.schema.key.iter().map(|&index| arrays.array(index, self.extracts[index]));
        Ok(RowKeys::from_arrays(&key.collect::<Result<Vec<_>, _>>()?))
    }

    fn sort(&self, rows: &mut Vec<RowRef<'_, R>>, context: &RowContext<'_>) -> Result<(), ArrowError> {
        let keys = self.keys(rows, context)?;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if !order.is_sorted_by(|&one, &other| keys.compare(one, &keys, other).is_le()) {
            order.sort_by(|&one, &other| keys.compare(one, &keys, other));
            *rows = order.into_iter().map(|index| rows[index]).collect();
        }
        Ok(())
    }

    fn build(&self, rows: &[RowRef<'_, R>], context: &RowContext<'_>) -> Result<RecordBatch, ArrowError> {
        let mut arrays = ArrayBuilder::new(rows, context, &self.schema.columns);
        let arrays = self.extracts.iter().enumerate().map(|(index, &extract)| arrays.array(index, extract));
        RecordBatch::try_new(Arc::clone(&self.schema.schema), arrays.collect::<Result<_, _>>()?)
    }
}

impl<R> fmt::Debug for RowEncoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowEncoder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;

    use super::*;

    #[derive(Default)]
    struct Thing {
        name: Option<&'static str>,
        port: Option<i64>,
        open: Option<bool>,
        price: Option<f64>,
    }

    fn table(key: &[&str]) -> RowEncoder<Thing> {
        let info = TableInfo {
            name: "aws_thing",
            description: "Things",
            noun: ("thing", "things"),
            command: None,
            key,
            default_columns: &["account_id", "name"],
        };
        RowEncoder::new(
            &info,
            [
                Column::text("name", "Its name", |thing: &Thing, _| thing.name.map(Cow::from)),
                Column::integer("port", "Its port", |thing| thing.port),
                Column::boolean("open", "True if it is open", |thing| thing.open),
                Column::float("price", "Its price", |thing| thing.price),
                Column::json("tags", "Its tags", |_, _, json| json.texts(["a"])),
            ],
        )
    }

    fn scope() -> Scope {
        Scope {
            partition: Partition::AwsCn,
            account_id: Some("001122334455".parse().expect("an ID")),
            account_name: None,
            role_name: Some("Audit".into()),
            profile: Some("dev".into()),
            place: Place::Global,
        }
    }

    fn batch(table: &RowEncoder<Thing>, rows: &[Row<Thing>]) -> RecordBatch {
        let scope = scope();
        table.batch(rows, &RowContext { scope: &scope, include_secrets: false }).expect("a batch")
    }

    fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Vec<Option<&'a str>> {
        batch.column_by_name(name).expect(name).as_string::<i32>().iter().collect()
    }

    #[test]
    fn a_table_has_its_columns_between_the_common_ones() {
        let table = table(&["name"]);
        let names: Vec<&str> = table.schema.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(
            names.join(" "),
            "account_id account_name name port open price tags partition profile role_name _not_collected"
        );
        assert_eq!((table.schema.column("port"), table.schema.column("ports")), (Some(3), None));
        assert_eq!((&*table.schema.key, &*table.schema.default_columns), (&[2][..], &[0, 2][..]));
        assert_eq!((table.schema.noun.of(1), table.schema.noun.of(0)), ("thing", "things"));
        let batch = batch(&table, &[]);
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 11));
        for (field, column) in batch.schema().fields().iter().zip(&table.schema.columns) {
            assert_eq!(ColumnType::of_field(field), column.column_type, "{}", column.name);
        }
    }

    #[test]
    fn a_missing_column_is_null_and_named() {
        let table = table(&["name"]);
        let mut rows =
            ["b", "a"].map(|name| Row::new(Thing { name: Some(name), port: Some(1), ..Thing::default() }));
        rows[0].missing = ["tags", "port"].iter().filter_map(|name| table.schema.column(name)).collect();
        let batch = batch(&table, &rows);
        assert_eq!(texts(&batch, "account_id"), [Some("001122334455"); 2]);
        assert_eq!(texts(&batch, "account_name"), [None; 2]);
        assert_eq!(texts(&batch, "partition"), [Some("aws-cn"); 2]);
        assert_eq!(texts(&batch, "name"), [Some("a"), Some("b")]);
        assert_eq!(texts(&batch, "tags"), [Some(r#"["a"]"#), None]);
        assert_eq!(texts(&batch, "_not_collected"), [None, Some(r#"["port","tags"]"#)]);
        assert_eq!(batch.column_by_name("port").expect("a column").null_count(), 1);
    }

    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let rows = [1.5, f64::NAN, f64::INFINITY]
            .map(|price| Row::new(Thing { price: Some(price), ..Thing::default() }));
        let batch = batch(&table(&["name"]), &rows);
        let prices = batch.column_by_name("price").expect("a column").as_primitive::<Float64Type>();
        assert_eq!(prices.iter().collect::<Vec<_>>(), [Some(1.5), None, None]);
    }

    #[test]
    fn rows_are_sorted_by_a_typed_key_with_nulls_last() {
        let thing = |name, port, open| Row::new(Thing { name, port, open, price: None });
        let rows = [
            thing(None, None, None),
            thing(Some("b"), Some(10), Some(true)),
            thing(Some("b"), Some(9), None),
            thing(Some("b"), Some(9), Some(false)),
            thing(Some("a"), None, Some(true)),
            thing(Some("b"), Some(10), Some(true)),
            thing(Some("a"), Some(-1), Some(true)),
        ];
        let batch = batch(&table(&["name", "port", "open"]), &rows);
        let keys = RowKeys::of(&batch);
        let text = |row: usize| -> String {
            let value = |index: usize| {
                let array = batch.column(index);
                let number = array.as_primitive_opt::<arrow_array::types::Int64Type>();
                match (array.is_null(row), number, array.as_boolean_opt()) {
                    (true, ..) => "-".to_owned(),
                    (_, Some(numbers), _) => numbers.value(row).to_string(),
                    (_, _, Some(booleans)) => booleans.value(row).to_string(),
                    _ => array.as_string::<i32>().value(row).to_owned(),
                }
            };
            (2..5).map(value).collect::<Vec<_>>().join(" ")
        };
        let rows: Vec<_> = (0..7).map(text).collect();
        assert_eq!(rows, ["a -1 true", "a - true", "b 9 false", "b 9 -", "b 10 true", "b 10 true", "- - -"]);
        assert!(keys.same(4, &keys, 5) && !keys.same(2, &keys, 3));
        assert!(!keys.has_key(6) && !keys.same(6, &keys, 6), "rows without a key are all different");
        assert!(keys.has_key(1), "one value is a key");
    }

    #[test]
    fn a_plain_table_keeps_the_order_of_its_items() {
        let columns = vec![Column::text("name", "A name", |name: &&str, _| Some(Cow::from(*name)))];
        let table = RowEncoder::plain("names", "Names", columns);
        let batch = table.plain_batch(&["b", "a", "b"]).expect("a batch");
        assert_eq!(texts(&batch, "name"), [Some("b"), Some("a"), Some("b")]);
        assert_eq!(table.schema.default_columns, [0]);
    }
}
