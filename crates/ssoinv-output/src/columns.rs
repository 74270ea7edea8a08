//! Which columns are shown: a table's usual ones, all, or those that the user names, paths into JSON columns among them
//! (`tags.Owner`). A [`Selection`] turns a table's batches into what the sinks see.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::suggest::nearest;
use ssoinv_core::table::{ColumnType, TYPE_KEY, TableSchema};

use crate::json_path::pick;

/// The field metadata key of a column that was picked out of a JSON column: its strings are shown bare.
const BARE_KEY: &str = "ssoinv:bare-strings";

/// Whether strings among the column's JSON values are shown without quotes where the format isn't JSON.
pub(crate) fn has_bare_strings(field: &Field) -> bool {
    field.metadata().contains_key(BARE_KEY)
}

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice<'a> {
    /// The columns that a table shows when nothing is said.
    Usual,
    /// All columns.
    All,
    /// These, in this order: `--columns`. One that is named twice is shown once.
    Named(&'a [String]),
}

/// Why columns can't be shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ColumnError {
    /// No table that is to be shown has such a column.
    #[error("there is no column `{name}`")]
    Unknown {
        /// What the user wrote.
        name: String,
        /// The column that was probably meant.
        nearest: Option<Arc<str>>,
        /// The columns that there are, of all tables.
        columns: Vec<Arc<str>>,
    },
    /// A path into a column that isn't JSON.
    #[error("`{name}` is a path, but column `{column}` is {}, not json", column_type.as_str())]
    NotJson {
        /// What the user wrote.
        name: String,
        /// The column.
        column: Arc<str>,
        /// Its type.
        column_type: ColumnType,
    },
    /// One of several tables has none of the columns.
    #[error("table `{table}` has none of the columns")]
    NoneInTable {
        /// The table.
        table: Arc<str>,
    },
}

/// The columns of one table that are shown.
#[derive(Clone, Debug)]
pub struct Selection {
    table: Arc<str>,
    schema: SchemaRef,
    parts: Vec<Part>,
}

/// Where a shown column comes from.
#[derive(Clone, Debug)]
enum Part {
    /// The table's column with this number.
    Whole(usize),
    /// A value in the JSON of it.
    Path { index: usize, path: String },
}

impl Selection {
    /// Selects columns in each of `tables`. A named column must be in one of them at least; tables that don't have it
    /// are shown without.
    pub fn of(tables: &[Arc<TableSchema>], choice: Choice<'_>) -> Result<Vec<Self>, ColumnError> {
        match choice {
            Choice::All => {
                Ok(tables.iter().map(|table| Self::whole(table, 0..table.columns.len())).collect())
            }
            Choice::Usual => Ok(tables
                .iter()
                .map(|table| Self::whole(table, table.default_columns.iter().copied()))
                .collect()),
            Choice::Named(names) => Self::named(tables, names),
        }
    }

    /// Returns the table's columns that the shown columns come from.
    #[must_use]
    pub fn sources(&self) -> ColumnSet {
        let index = |part: &Part| match part {
            Part::Whole(index) | Part::Path { index, .. } => *index,
        };
        self.parts.iter().map(index).collect()
    }

    fn whole(table: &TableSchema, indices: impl IntoIterator<Item = usize>) -> Self {
        let parts: Vec<usize> = indices.into_iter().collect();
        let fields: Vec<_> = parts.iter().map(|&index| Arc::clone(&table.schema.fields()[index])).collect();
        let parts = parts.into_iter().map(Part::Whole).collect();
        Self { table: Arc::clone(&table.name), schema: Arc::new(Schema::new(fields)), parts }
    }

    fn named(tables: &[Arc<TableSchema>], names: &[String]) -> Result<Vec<Self>, ColumnError> {
        let mut columns: Vec<Vec<(Arc<Field>, Part)>> = vec![Vec::new(); tables.len()];
        let mut seen: Vec<&str> = Vec::new();
        for name in names.iter().map(|name| name.trim()) {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let mut refusal = None;
            let mut found = false;
            for (table, columns) in tables.iter().zip(&mut columns) {
                match resolve(table, name) {
                    Ok(Some(column)) => {
                        columns.push(column);
                        found = true;
                    }
                    Ok(None) => {}
                    Err(error) => refusal = Some(error),
                }
            }
            if !found {
                return Err(refusal.unwrap_or_else(|| unknown(tables, name)));
            }
        }
        tables
            .iter()
            .zip(columns)
            .map(|(table, columns)| {
                if columns.is_empty() {
                    return Err(ColumnError::NoneInTable { table: Arc::clone(&table.name) });
                }
                let (fields, parts): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
                let schema = Arc::new(Schema::new(fields));
                Ok(Self { table: Arc::clone(&table.name), schema, parts })
            })
            .collect()
    }

    /// Returns the table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The schema of what [`Selection::apply`] gives: names as the user wrote them.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The selected columns of a batch of the table.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |index: usize| {
            batch.columns().get(index).ok_or_else(|| {
                ArrowError::SchemaError(format!("a batch of `{}` has no column {index}", self.table))
            })
        };
        let arrays = self.parts.iter().map(|part| match part {
            Part::Whole(index) => column(*index).cloned(),
            Part::Path { index, path } => {
                let texts = column(*index)?.as_string_opt::<i32>().ok_or_else(|| {
                    ArrowError::SchemaError(format!("column {index} of `{}` is no JSON", self.table))
                })?;
                let mut picked = StringBuilder::with_capacity(texts.len(), texts.len() * 16);
                for text in texts {
                    picked.append_option(text.and_then(|text| pick(text, path)));
                }
                Ok(Arc::new(picked.finish()) as ArrayRef)
            }
        });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect::<Result<_, _>>()?)
    }
}

/// The column that `name` means in `table`; `None` where it has none such.
fn resolve(table: &TableSchema, name: &str) -> Result<Option<(Arc<Field>, Part)>, ColumnError> {
    if let Some(index) = table.column(name) {
        return Ok(Some((Arc::clone(&table.schema.fields()[index]), Part::Whole(index))));
    }
    // Columns' names have neither dots nor brackets.
    let Some(end) = name.find(['.', '[']) else { return Ok(None) };
    let Some(index) = table.column(&name[..end]) else { return Ok(None) };
    let path = name[end..].strip_prefix('.').unwrap_or(&name[end..]);
    if path.is_empty() {
        return Ok(None);
    }
    let column = &table.columns[index];
    if column.column_type != ColumnType::Json {
        let (name, column_type) = (name.to_owned(), column.column_type);
        return Err(ColumnError::NotJson { name, column: Arc::clone(&column.name), column_type });
    }
    let metadata = HashMap::from([
        (TYPE_KEY.to_owned(), ColumnType::Json.as_str().to_owned()),
        (BARE_KEY.to_owned(), String::new()),
    ]);
    let field = Field::new(name, DataType::Utf8, true).with_metadata(metadata);
    Ok(Some((Arc::new(field), Part::Path { index, path: path.to_owned() })))
}

fn unknown(tables: &[Arc<TableSchema>], name: &str) -> ColumnError {
    let mut columns: Vec<Arc<str>> = Vec::new();
    for column in tables.iter().flat_map(|table| &table.columns) {
        if !columns.contains(&column.name) {
            columns.push(Arc::clone(&column.name));
        }
    }
    let wanted = name.split(['.', '[']).next().unwrap_or(name);
    let nearest = nearest(wanted, columns.iter().map(|column| &**column)).map(Arc::from);
    ColumnError::Unknown { name: name.to_owned(), nearest, columns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Column;
    use crate::testing::{Thing, other_table, table};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn shown(selection: &Selection) -> Vec<&str> {
        selection.schema().fields().iter().map(|field| field.name().as_str()).collect()
    }

    #[test]
    fn usual_all_and_named() {
        let tables = [table().schema];
        let of = |choice| Selection::of(&tables, choice).unwrap().remove(0);
        assert_eq!(shown(&of(Choice::Usual)), ["name", "size"]);
        assert_eq!(shown(&of(Choice::All)), ["arn", "name", "size", "public", "created", "tags"]);
        let wanted = names(&["tags.Owner", " arn", "arn", "tags"]);
        assert_eq!(shown(&of(Choice::Named(&wanted))), ["tags.Owner", "arn", "tags"]);
    }

    #[test]
    fn a_path_gives_texts_bare_and_the_rest_as_json() {
        let things = [
            Thing { tags: Some(r#"{"Owner":"a \"b\"\n","a.b":{"c":[1,2]}}"#), ..Thing::default() },
            Thing { tags: Some(r#"{"Owner":7}"#), ..Thing::default() },
            Thing::default(),
        ];
        let wanted = names(&["tags.Owner", "tags.a.b", "tags.a.b.c[1]", "tags"]);
        let selection = Selection::of(&[table().schema], Choice::Named(&wanted)).unwrap().remove(0);
        let batch = selection.apply(&crate::testing::batch(&things)).unwrap();
        let columns = Column::all(&batch).unwrap();
        let texts = |row| columns.iter().map(|column| column.text(row).map(String::from)).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts(0),
            [
                some("a \"b\"\n"),
                some(r#"{"c":[1,2]}"#),
                some("2"),
                some(r#"{"Owner":"a \"b\"\n","a.b":{"c":[1,2]}}"#)
            ]
        );
        assert_eq!(texts(1), [some("7"), None, None, some(r#"{"Owner":7}"#)]);
        assert_eq!(texts(2), [None, None, None, None]);
    }

    #[test]
    fn what_is_not_there_is_named_with_the_nearest() {
        let tables = [table().schema];
        let error = |name: &str| Selection::of(&tables, Choice::Named(&names(&[name]))).unwrap_err();
        let ColumnError::Unknown { name, nearest, columns } = error("tag.Owner") else { panic!() };
        assert_eq!((name.as_str(), nearest.as_deref()), ("tag.Owner", Some("tags")));
        let columns: Vec<&str> = columns.iter().map(|column| &**column).collect();
        assert_eq!(columns, ["arn", "name", "size", "public", "created", "tags"]);
        let nearest = |name: &str| match error(name) {
            ColumnError::Unknown { nearest, .. } => nearest,
            other => panic!("{other}"),
        };
        assert_eq!(nearest("Name").as_deref(), Some("name"));
        assert_eq!(nearest("zzz"), None);
        assert_eq!(nearest("tags.").as_deref(), Some("tags"));
        assert!(matches!(error(""), ColumnError::Unknown { .. }));
        assert_eq!(error("size.x").to_string(), "`size.x` is a path, but column `size` is int, not json");
    }

    #[test]
    fn of_several_tables_each_shows_what_it_has() {
        let tables = [table().schema, other_table().schema];
        let selections = Selection::of(&tables, Choice::Named(&names(&["arn", "size", "colour"]))).unwrap();
        assert_eq!(shown(&selections[0]), ["arn", "size"]);
        assert_eq!(shown(&selections[1]), ["arn", "colour"]);
        assert_eq!(
            Selection::of(&tables, Choice::Named(&names(&["size"]))).unwrap_err(),
            ColumnError::NoneInTable { table: "other".into() }
        );
    }
}
