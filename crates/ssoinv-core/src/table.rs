//! What a table is: its columns, declared once, and how a row of AWS's becomes a row of Arrow.
//!
//! A table's file in `ssoinv-aws` lists its [`Column`]s: name, type, description and where the value comes from.
//! Everything else follows from that list: the Arrow schema, `ssoinv tables`, each output format, SQL. The columns that
//! every table has (`account_id`, `profile`, …) are added here.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::json::Json;
use crate::scope::Scope;

/// The field metadata key under which an Arrow field keeps its [`ColumnType`]'s name.
pub const TYPE_KEY: &str = "ssoinv:type";

/// The type of a column, as `ssoinv tables` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnType {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// A moment, kept in milliseconds, UTC.
    Timestamp,
    /// JSON text with sorted keys.
    Json,
    /// An IP address, as text.
    Inet,
}

impl ColumnType {
    /// The name that `ssoinv tables` shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "int",
            Self::Boolean => "bool",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
            Self::Inet => "inet",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json | Self::Inet => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// The type that a field of a [`TableSchema`]'s schema was declared with.
    #[must_use]
    pub fn of_field(field: &Field) -> Self {
        match (field.metadata().get(TYPE_KEY).map(String::as_str), field.data_type()) {
            (Some("json"), _) => Self::Json,
            (Some("inet"), _) => Self::Inet,
            (_, DataType::Int64) => Self::Integer,
            (_, DataType::Boolean) => Self::Boolean,
            (_, DataType::Timestamp(..)) => Self::Timestamp,
            _ => Self::Text,
        }
    }
}

/// One column as people see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ColumnInfo {
    /// The name, as Steampipe's users know it.
    pub name: &'static str,
    /// The type.
    pub column_type: ColumnType,
    /// One sentence, without a final stop.
    pub description: &'static str,
}

impl ColumnInfo {
    /// The Arrow field.
    #[must_use]
    pub fn field(&self) -> Field {
        let metadata = HashMap::from([(TYPE_KEY.to_owned(), self.column_type.as_str().to_owned())]);
        Field::new(self.name, self.column_type.data_type(), true).with_metadata(metadata)
    }
}

/// What a row's values may depend on besides AWS's answer.
#[derive(Clone, Copy, Debug)]
pub struct RowContext<'a> {
    /// Where the row was found, and through whom.
    pub scope: &'a Scope,
    /// Whether values that are secrets by nature (environment variables) are kept.
    pub include_secrets: bool,
}

/// How a column's value comes from a row `R` of AWS's.
enum Extract<R> {
    Text(for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>),
    Integer(fn(&R) -> Option<i64>),
    Boolean(fn(&R) -> Option<bool>),
    Timestamp(fn(&R) -> Option<i64>),
    Json(fn(&R, &RowContext<'_>, Json<'_>)),
}

impl<R> Clone for Extract<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Extract<R> {}

/// A column of a table whose rows come from `R`.
pub struct Column<R> {
    /// Name, type and description.
    pub info: ColumnInfo,
    extract: Extract<R>,
}

impl<R> std::fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.fmt(f)
    }
}

impl<R> Column<R> {
    const fn new(
        name: &'static str,
        column_type: ColumnType,
        description: &'static str,
        extract: Extract<R>,
    ) -> Self {
        Self { info: ColumnInfo { name, column_type, description }, extract }
    }

    /// A text column.
    pub const fn text(
        name: &'static str,
        description: &'static str,
        value: for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>,
    ) -> Self {
        Self::new(name, ColumnType::Text, description, Extract::Text(value))
    }

    /// A column with an IP address.
    pub const fn inet(
        name: &'static str,
        description: &'static str,
        value: for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>,
    ) -> Self {
        Self::new(name, ColumnType::Inet, description, Extract::Text(value))
    }

    /// A column of whole numbers.
    pub const fn integer(
        name: &'static str,
        description: &'static str,
        value: fn(&R) -> Option<i64>,
    ) -> Self {
        Self::new(name, ColumnType::Integer, description, Extract::Integer(value))
    }

    /// A column of true and false.
    pub const fn boolean(
        name: &'static str,
        description: &'static str,
        value: fn(&R) -> Option<bool>,
    ) -> Self {
        Self::new(name, ColumnType::Boolean, description, Extract::Boolean(value))
    }

    /// A column of moments: milliseconds since 1970, UTC.
    pub const fn timestamp(
        name: &'static str,
        description: &'static str,
        value: fn(&R) -> Option<i64>,
    ) -> Self {
        Self::new(name, ColumnType::Timestamp, description, Extract::Timestamp(value))
    }

    /// A JSON column; null where `value` writes nothing.
    pub const fn json(
        name: &'static str,
        description: &'static str,
        value: fn(&R, &RowContext<'_>, Json<'_>),
    ) -> Self {
        Self::new(name, ColumnType::Json, description, Extract::Json(value))
    }
}

/// A row that AWS may have given only in part.
pub trait AwsRow {
    /// The columns that AWS said it could not give for this row; they are null, and named in `_not_collected`.
    fn not_collected(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The columns that stand before a table's own.
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

/// The columns that stand behind a table's own.
fn trailing<R: AwsRow>() -> [Column<R>; 4] {
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
        Column::json(
            "_not_collected",
            "The columns of this row that could not be read and are null for that reason; null where there are none",
            |row, _, json| {
                let missing = row.not_collected();
                if !missing.is_empty() {
                    json.texts(missing);
                }
            },
        ),
    ]
}

/// A table as everything behind the runner sees it: names, types, schema.
#[derive(Clone, Debug)]
pub struct TableSchema {
    /// The name, as Steampipe's users know it: `aws_s3_bucket`.
    pub name: &'static str,
    /// One sentence, without a final stop.
    pub description: &'static str,
    /// All columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// The columns that a table on a terminal shows when nothing else is asked for.
    pub default_columns: Vec<&'static str>,
    /// The Arrow schema of [`TableSchema::columns`].
    pub schema: SchemaRef,
}

/// A table whose rows come from `R`: the schema with what fills it.
#[derive(Debug)]
pub struct Table<R> {
    columns: Vec<Column<R>>,
    /// Where [`KEY_COLUMN`] stands, in tables of AWS's.
    key: Option<usize>,
    /// Names, types and schema.
    pub schema: Arc<TableSchema>,
}

/// The column by which the rows of a task are sorted, and by which a row that AWS gave twice is known. Every table has
/// it.
pub const KEY_COLUMN: &str = "arn";

/// The order of [`KEY_COLUMN`]'s values: by their bytes, none at the end.
#[must_use]
pub fn key_order(one: Option<&str>, other: Option<&str>) -> Ordering {
    (one.is_none(), one).cmp(&(other.is_none(), other))
}

impl<R> Table<R> {
    /// A table with nothing but `columns`: for what isn't AWS's, like the ledger.
    #[must_use]
    pub fn plain(name: &'static str, description: &'static str, columns: Vec<Column<R>>) -> Self {
        let infos: Vec<ColumnInfo> = columns.iter().map(|column| column.info).collect();
        let schema = Arc::new(Schema::new(infos.iter().map(ColumnInfo::field).collect::<Vec<_>>()));
        let default_columns = infos.iter().map(|column| column.name).collect();
        let schema = TableSchema { name, description, columns: infos, default_columns, schema };
        Self { columns, key: None, schema: Arc::new(schema) }
    }

    /// Makes one record batch of `rows`; those of AWS's tables in the order of their keys, so that whoever sorts the rows
    /// of several pages has little to do, and those of one page nothing.
    ///
    /// # Errors
    /// When Arrow refuses the arrays, which is a bug in this module.
    pub fn batch(&self, rows: &[R], context: &RowContext<'_>) -> Result<RecordBatch, ArrowError> {
        let mut texts = Texts::new(rows.len());
        let rows = self.in_order(rows, context);
        let arrays = self.columns.iter().map(|column| array(column.extract, &rows, context, &mut texts));
        RecordBatch::try_new(Arc::clone(&self.schema.schema), arrays.collect::<Result<_, _>>()?)
    }

    /// Of rows with the same key, the one that came first stays in front.
    fn in_order<'a>(&self, rows: &'a [R], context: &RowContext<'_>) -> Vec<&'a R> {
        let key = self.key.map(|key| self.columns[key].extract);
        let Some(Extract::Text(key)) = key else { return rows.iter().collect() };
        let mut keyed: Vec<_> = rows.iter().map(|row| (key(row, context), row)).collect();
        keyed.sort_by(|(one, _), (other, _)| key_order(one.as_deref(), other.as_deref()));
        keyed.into_iter().map(|(_, row)| row).collect()
    }
}

impl<R: AwsRow> Table<R> {
    /// A table with `own` columns between those that every table has.
    #[must_use]
    pub fn new(
        name: &'static str,
        description: &'static str,
        default_columns: &[&'static str],
        own: impl IntoIterator<Item = Column<R>>,
    ) -> Self {
        let columns = leading().into_iter().chain(own).chain(trailing()).collect();
        let mut table = Self::plain(name, description, columns);
        table.key = table.columns.iter().position(|column| column.info.name == KEY_COLUMN);
        let schema = Arc::make_mut(&mut table.schema);
        schema.default_columns = default_columns.to_vec();
        debug_assert!(schema.schema.field_with_name(KEY_COLUMN).is_ok(), "{name} has no {KEY_COLUMN}");
        debug_assert!(
            default_columns.iter().all(|column| schema.schema.field_with_name(column).is_ok()),
            "{name}"
        );
        table
    }
}

/// Collects the texts of one column after another, in memory that is used again: a page's arrays wait in their
/// hundreds for their turn, so each takes no more than its texts do.
struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends, and before them 0.
    offsets: Vec<i32>,
    there: Vec<bool>,
    /// The column of nothing but nulls, of which most tables have many.
    nulls: ArrayRef,
}

impl Texts {
    fn new(rows: usize) -> Self {
        let (bytes, offsets, there) = (Vec::new(), Vec::with_capacity(rows + 1), Vec::with_capacity(rows));
        Self { bytes, offsets, there, nulls: Arc::new(StringArray::new_null(rows)) }
    }

    fn begin(&mut self) {
        self.bytes.clear();
        self.there.clear();
        self.offsets.clear();
        self.offsets.push(0);
    }

    /// Ends a row, whose text has been appended to `bytes`, if there is one.
    fn end_row(&mut self, there: bool) -> Result<(), ArrowError> {
        self.there.push(there);
        // As Arrow says it where an array would be larger than 2 GiB.
        let end = i32::try_from(self.bytes.len());
        self.offsets.push(end.map_err(|_| ArrowError::OffsetOverflowError(self.bytes.len()))?);
        Ok(())
    }

    fn array(&self) -> Result<ArrayRef, ArrowError> {
        if self.there.iter().all(|there| !there) {
            return Ok(Arc::clone(&self.nulls));
        }
        let nulls = (!self.there.iter().all(|there| *there)).then(|| NullBuffer::from(&self.there[..]));
        let offsets = OffsetBuffer::new(self.offsets.clone().into());
        Ok(Arc::new(StringArray::try_new(offsets, self.bytes.clone().into(), nulls)?))
    }
}

fn array<R>(
    extract: Extract<R>,
    rows: &[&R],
    context: &RowContext<'_>,
    texts: &mut Texts,
) -> Result<ArrayRef, ArrowError> {
    Ok(match extract {
        Extract::Text(value) => {
            texts.begin();
            for row in rows {
                let text = value(row, context);
                texts.bytes.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
                texts.end_row(text.is_some())?;
            }
            texts.array()?
        }
        Extract::Json(value) => {
            texts.begin();
            for row in rows {
                let before = texts.bytes.len();
                value(row, context, Json::new(&mut texts.bytes));
                texts.end_row(texts.bytes.len() > before)?;
            }
            texts.array()?
        }
        Extract::Integer(value) => {
            let mut builder = Int64Builder::with_capacity(rows.len());
            for row in rows {
                builder.append_option(value(row));
            }
            Arc::new(builder.finish())
        }
        Extract::Boolean(value) => {
            let mut builder = BooleanBuilder::with_capacity(rows.len());
            for row in rows {
                builder.append_option(value(row));
            }
            Arc::new(builder.finish())
        }
        Extract::Timestamp(value) => {
            let mut builder = TimestampMillisecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
            for row in rows {
                builder.append_option(value(row));
            }
            Arc::new(builder.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;

    use super::*;
    use crate::scope::{Partition, Place};

    struct Thing {
        name: Option<&'static str>,
        whole: bool,
    }

    impl AwsRow for Thing {
        fn not_collected(&self) -> &'static [&'static str] {
            if self.whole { &[] } else { &["tags"] }
        }
    }

    #[test]
    fn rows_become_a_batch_with_the_columns_that_every_table_has() {
        let table = Table::new(
            "thing",
            "A thing",
            &["account_id", "arn"],
            [
                Column::text("arn", "Its ARN", |thing: &Thing, _| thing.name.map(Cow::from)),
                Column::json("tags", "Its tags", |thing, _, json| {
                    if thing.whole {
                        json.texts(["a"]);
                    }
                }),
            ],
        );
        let scope = Scope {
            partition: Partition::AwsCn,
            account_id: Some("001122334455".parse().expect("an ID")),
            account_name: None,
            role_name: Some("Audit".into()),
            profile: Some("dev".into()),
            place: Place::Global,
        };
        let rows = [
            Thing { name: Some("x"), whole: true },
            Thing { name: None, whole: false },
            Thing { name: Some(""), whole: true },
            Thing { name: Some(""), whole: false },
        ];
        let batch =
            table.batch(&rows, &RowContext { scope: &scope, include_secrets: false }).expect("a batch");
        let names: Vec<_> = table.schema.columns.iter().map(|column| column.name).collect();
        assert_eq!(
            names,
            [
                "account_id",
                "account_name",
                "arn",
                "tags",
                "partition",
                "profile",
                "role_name",
                "_not_collected"
            ]
        );
        let column = |name: &str| {
            batch.column_by_name(name).expect(name).as_string::<i32>().iter().collect::<Vec<_>>()
        };
        assert_eq!(column("account_id"), [Some("001122334455"); 4]);
        assert_eq!(column("account_name"), [None; 4]);
        assert_eq!(column("arn"), [Some(""), Some(""), Some("x"), None]);
        // Of the two without a name the one that came first is in front.
        assert_eq!(column("tags"), [Some(r#"["a"]"#), None, Some(r#"["a"]"#), None]);
        assert_eq!(column("partition"), [Some("aws-cn"); 4]);
        assert_eq!(column("_not_collected"), [None, Some(r#"["tags"]"#), None, Some(r#"["tags"]"#)]);
        let none = table.batch(&[], &RowContext { scope: &scope, include_secrets: false }).expect("a batch");
        assert_eq!((none.num_rows(), none.num_columns()), (0, 8));
        assert_eq!(ColumnType::of_field(batch.schema().field(3)), ColumnType::Json);
        assert_eq!(ColumnType::of_field(batch.schema().field(2)), ColumnType::Text);
    }
}
