//! What the tables' columns have in common: from the SDK's types to what [`ssoinv_core::table::Column`] takes.

use std::borrow::Cow;

use aws_smithy_types::DateTime;
use ssoinv_core::json::{Json, Object};
use ssoinv_core::scope::Place;
use ssoinv_core::table::{Column, RowContext};

/// Text, or the word of one of the SDK's enums; a word that the SDK doesn't know yet comes out as AWS gave it.
pub(crate) fn text<T: AsRef<str>>(value: Option<&T>) -> Option<Cow<'_, str>> {
    value.map(|value| Cow::Borrowed(value.as_ref()))
}

/// Text that says nothing when it is empty: an address, a name.
pub(crate) fn filled<T: AsRef<str>>(value: Option<&T>) -> Option<Cow<'_, str>> {
    text(value).filter(|text| !text.is_empty())
}

/// A moment in milliseconds since 1970; `None` beyond 64 bits of them.
pub(crate) fn millis(time: Option<&DateTime>) -> Option<i64> {
    time.and_then(|time| time.to_millis().ok())
}

/// An object, where there is one.
pub(crate) fn object<T>(json: Json<'_>, value: Option<&T>, members: fn(&mut Object<'_>, &T)) {
    if let Some(value) = value {
        json.object(|object| members(object, value));
    }
}

/// A list of objects, where there is one; it may be empty.
pub(crate) fn objects<T>(json: Json<'_>, items: Option<&Vec<T>>, members: fn(&mut Object<'_>, &T)) {
    if let Some(items) = items {
        json.array(items, |json, item| json.object(|object| members(object, item)));
    }
}

/// A member that is a list of objects.
pub(crate) fn member_objects<T>(
    object: &mut Object<'_>,
    key: &'static str,
    items: Option<&Vec<T>>,
    members: fn(&mut Object<'_>, &T),
) {
    object.array(key, items, |json, item| json.object(|object| members(object, item)));
}

/// A list of strings, where there is one.
pub(crate) fn texts<T: AsRef<str>>(json: Json<'_>, items: Option<&Vec<T>>) {
    if let Some(items) = items {
        json.texts(items);
    }
}

/// The column `region` of a regional table: where the call was made.
pub(crate) fn region_of_call<R>() -> Column<R> {
    Column::text("region", "The AWS region that the row lies in", |_, context| match &context.scope.place {
        Place::Region(region) => Some(Cow::Borrowed(region)),
        Place::Global | Place::Unset => None,
    })
}

/// `arn:<partition>:<service>:<region>:` of the place where a row was found.
pub(crate) fn regional_arn(context: &RowContext<'_>, service: &str, account: &str, resource: &str) -> String {
    let scope = context.scope;
    format!("arn:{}:{service}:{}:{account}:{resource}", scope.partition, scope.place.as_str())
}

/// A list with the one ARN by which Steampipe's users join.
pub(crate) fn akas(json: Json<'_>, arn: Option<Cow<'_, str>>) {
    if let Some(arn) = arn {
        json.texts([arn]);
    }
}
