//! Columns: name, type, description, and the function that takes the value from a row of AWS's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

use crate::json::Json;
use crate::scope::Scope;

/// The field metadata key that holds the name of a field's [`ColumnType`].
pub const TYPE_KEY: &str = "ssoinv:type";

/// The type of a column, as `ssoinv tables` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnType {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number of 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// A time in milliseconds since 1970, UTC.
    Timestamp,
    /// JSON text with sorted keys.
    Json,
    /// An IP address, as text.
    Inet,
    /// An IP address range in CIDR notation, as text.
    Cidr,
}

impl ColumnType {
    /// Returns the name that `ssoinv tables` shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "int",
            Self::Float => "float",
            Self::Boolean => "bool",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json | Self::Inet | Self::Cidr => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// Returns true if rows can be sorted and told apart by a column of this type.
    pub(super) fn can_be_key(self) -> bool {
        !matches!(self, Self::Float | Self::Timestamp)
    }

    /// Returns the type that a field of a table's Arrow schema was declared with.
    #[must_use]
    pub fn of_field(field: &Field) -> Self {
        match (field.metadata().get(TYPE_KEY).map(String::as_str), field.data_type()) {
            (Some("json"), _) => Self::Json,
            (Some("inet"), _) => Self::Inet,
            (Some("cidr"), _) => Self::Cidr,
            (_, DataType::Int64) => Self::Integer,
            (_, DataType::Float64) => Self::Float,
            (_, DataType::Boolean) => Self::Boolean,
            (_, DataType::Timestamp(..)) => Self::Timestamp,
            _ => Self::Text,
        }
    }
}

/// Name, type and description of a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnInfo {
    /// The name; Steampipe's where its AWS plugin has the column.
    pub name: Arc<str>,
    /// The type.
    pub column_type: ColumnType,
    /// One sentence, without a final stop.
    pub description: Arc<str>,
}

impl ColumnInfo {
    /// Returns the Arrow field.
    #[must_use]
    pub fn field(&self) -> Field {
        let metadata = HashMap::from([(TYPE_KEY.to_owned(), self.column_type.as_str().to_owned())]);
        Field::new(&*self.name, self.column_type.data_type(), true).with_metadata(metadata)
    }
}

/// The context that a row's values depend on, beside AWS's response.
#[derive(Clone, Copy, Debug)]
pub struct RowContext<'a> {
    /// The scope of the call that returned the row.
    pub scope: &'a Scope,
    /// True if values that are secrets by nature (environment variables) are kept.
    pub include_secrets: bool,
}

/// The source of a column's values in rows of type `R`.
pub(super) enum Extract<R> {
    Text(for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>),
    Integer(fn(&R) -> Option<i64>),
    Float(fn(&R) -> Option<f64>),
    Boolean(fn(&R) -> Option<bool>),
    Timestamp(fn(&R) -> Option<i64>),
    Json(fn(&R, &RowContext<'_>, Json<'_>)),
    /// The names of the columns that the row misses.
    Missing,
}

impl<R> Clone for Extract<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Extract<R> {}

/// A column of a table whose rows come from `R`.
pub struct Column<R> {
    pub(super) info: ColumnInfo,
    pub(super) extract: Extract<R>,
}

impl<R> fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl<R> Column<R> {
    fn new(
        name: impl Into<Arc<str>>,
        column_type: ColumnType,
        description: impl Into<Arc<str>>,
        extract: Extract<R>,
    ) -> Self {
        let info = ColumnInfo { name: name.into(), column_type, description: description.into() };
        Self { info, extract }
    }

    /// Declares a text column.
    pub fn text(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>,
    ) -> Self {
        Self::new(name, ColumnType::Text, description, Extract::Text(value))
    }

    /// Declares a column of IP addresses.
    pub fn inet(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>,
    ) -> Self {
        Self::new(name, ColumnType::Inet, description, Extract::Text(value))
    }

    /// Declares a column of IP address ranges.
    pub fn cidr(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: for<'r> fn(&'r R, &'r RowContext<'r>) -> Option<Cow<'r, str>>,
    ) -> Self {
        Self::new(name, ColumnType::Cidr, description, Extract::Text(value))
    }

    /// Declares a column of whole numbers.
    pub fn integer(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: fn(&R) -> Option<i64>,
    ) -> Self {
        Self::new(name, ColumnType::Integer, description, Extract::Integer(value))
    }

    /// Declares a column of floating-point numbers; numbers that aren't finite become null.
    pub fn float(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: fn(&R) -> Option<f64>,
    ) -> Self {
        Self::new(name, ColumnType::Float, description, Extract::Float(value))
    }

    /// Declares a column of true and false.
    pub fn boolean(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: fn(&R) -> Option<bool>,
    ) -> Self {
        Self::new(name, ColumnType::Boolean, description, Extract::Boolean(value))
    }

    /// Declares a column of times in milliseconds since 1970, UTC.
    pub fn timestamp(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: fn(&R) -> Option<i64>,
    ) -> Self {
        Self::new(name, ColumnType::Timestamp, description, Extract::Timestamp(value))
    }

    /// Declares a JSON column; null if `value` writes nothing.
    pub fn json(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        value: fn(&R, &RowContext<'_>, Json<'_>),
    ) -> Self {
        Self::new(name, ColumnType::Json, description, Extract::Json(value))
    }

    /// Declares the column that names the columns that a row misses.
    pub(super) fn missing(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>) -> Self {
        Self::new(name, ColumnType::Json, description, Extract::Missing)
    }
}
