//! The tables: one file each, one line each in [`TABLES`].
//!
//! A table's file says which call lists its rows, how that call pages and what is odd about it; then come the row, the
//! columns and the function that asks for one page ([`ListTable`]). The runner knows tables only as [`AnyTable`]: it
//! hands in a client, gets Arrow rows and the next page's token. What an error means is [`ssoinv_http::classify`]'s.
//!
//! An answer that isn't the service's is never an empty page: the XML must be whole ([`ssoinv_http::complete_xml`]), the
//! list must be there even when nothing is in it, and every item must have a name.

mod columns;
mod ec2_instance;
mod ec2_shapes;
mod lambda_function;
#[cfg(test)]
mod refusals;
mod s3_bucket;
pub mod services;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::FutureExt;
use futures::future::BoxFuture;
use ssoinv_core::clock::Clock;
use ssoinv_core::column_set::ColumnSet;
use ssoinv_core::failure::{Failure, FailureKind};
use ssoinv_core::service::ServiceInfo;
use ssoinv_core::table::{Row, RowContext, RowKeys, Table, TableSchema};
use ssoinv_http::classify::invalid_response;

/// Every table, in the order in which they are shown.
pub static TABLES: &[&dyn AnyTable] =
    &[&ec2_instance::Ec2Instance, &lambda_function::LambdaFunction, &s3_bucket::S3Bucket];

/// The table with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn AnyTable> {
    TABLES.iter().copied().find(|table| *table.schema().name == *name)
}

/// An AWS service that tables ask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Service {
    /// Amazon S3.
    S3,
    /// Amazon EC2.
    Ec2,
    /// AWS Lambda.
    Lambda,
}

impl Service {
    /// Returns the names and limits of the service.
    #[must_use]
    pub fn info(self) -> &'static ServiceInfo {
        match self {
            Self::S3 => &services::S3,
            Self::Ec2 => &services::EC2,
            Self::Lambda => &services::LAMBDA,
        }
    }
}

/// A client of one service, for one account and region.
#[derive(Clone)]
pub enum ServiceClient {
    /// Amazon S3's.
    S3(aws_sdk_s3::Client),
    /// Amazon EC2's.
    Ec2(aws_sdk_ec2::Client),
    /// AWS Lambda's.
    Lambda(aws_sdk_lambda::Client),
}

impl ServiceClient {
    /// Whose client it is.
    #[must_use]
    pub fn service(&self) -> Service {
        match self {
            Self::S3(_) => Service::S3,
            Self::Ec2(_) => Service::Ec2,
            Self::Lambda(_) => Service::Lambda,
        }
    }
}

/// Only the service: a client knows its credentials.
impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceClient").field(&self.service()).finish()
    }
}

/// The SDK's client of one service: ties a table's call to the [`Service`] whose client the runner has to bring.
pub trait ApiClient: Sized {
    /// The service.
    const SERVICE: Service;

    /// The client, where `client` is one of this service's.
    fn of(client: &ServiceClient) -> Option<&Self>;
}

impl ApiClient for aws_sdk_s3::Client {
    const SERVICE: Service = Service::S3;

    fn of(client: &ServiceClient) -> Option<&Self> {
        if let ServiceClient::S3(client) = client { Some(client) } else { None }
    }
}

impl ApiClient for aws_sdk_ec2::Client {
    const SERVICE: Service = Service::Ec2;

    fn of(client: &ServiceClient) -> Option<&Self> {
        if let ServiceClient::Ec2(client) = client { Some(client) } else { None }
    }
}

impl ApiClient for aws_sdk_lambda::Client {
    const SERVICE: Service = Service::Lambda;

    fn of(client: &ServiceClient) -> Option<&Self> {
        if let ServiceClient::Lambda(client) = client { Some(client) } else { None }
    }
}

/// One page of a list call, as AWS gave it.
pub struct Page<R> {
    /// The rows; there may be none although pages follow.
    pub rows: Vec<R>,
    /// Names the next page, as AWS gave it: absent or empty on the last one.
    pub next: Option<String>,
}

/// What a table's file provides.
pub trait ListTable: fmt::Debug + Send + Sync + 'static {
    /// The SDK's client that the list call needs.
    type Client: ApiClient + Sync;
    /// What a row is made from.
    type Row: Send + Sync + 'static;
    /// The operation of the list call.
    const CALL: &'static str;
    /// Whether one call answers for the whole account, whatever the region.
    const GLOBAL: bool;

    /// Names, types and columns.
    fn table() -> &'static Table<Self::Row>;

    /// Returns the columns that AWS failed to give for this row.
    fn missing(_row: &Self::Row) -> ColumnSet {
        ColumnSet::new()
    }

    /// Makes one call: asks for the page that `token` names, or for the first.
    ///
    /// # Errors
    /// What [`ssoinv_http::classify::classify`] says, with `clock` as the time of day; [`invalid_response`] where the answer
    /// has no list in it.
    fn page(
        client: &Self::Client,
        token: Option<&str>,
        clock: &Clock,
    ) -> impl Future<Output = Result<Page<Self::Row>, Failure>> + Send;
}

/// One page of rows, as everything behind the tables sees it.
#[derive(Clone)]
pub struct RowPage {
    /// The rows.
    pub rows: RecordBatch,
    /// Names the next page; there is one even where this has no rows.
    pub next: Option<String>,
}

/// Only how many rows: they may hold what must not be logged.
impl fmt::Debug for RowPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.next.is_some();
        f.debug_struct("RowPage").field("rows", &self.rows.num_rows()).field("next", &next).finish()
    }
}

/// A table, whatever its rows are made from.
pub trait AnyTable: fmt::Debug + Send + Sync {
    /// Name, description and columns.
    fn schema(&self) -> &'static Arc<TableSchema>;

    /// The service whose client [`AnyTable::page`] needs.
    fn service(&self) -> Service;

    /// Returns the operation of the list call.
    fn call(&self) -> &'static str;

    /// Whether it is asked once an account, whatever the region.
    fn is_global(&self) -> bool;

    /// Makes one call: asks for the page that `token` names, or for the first.
    ///
    /// # Errors
    /// A classified [`Failure`]; also where the answer isn't what the service sends.
    fn page<'a>(
        &self,
        client: &'a ServiceClient,
        context: &'a RowContext<'a>,
        clock: &'a Clock,
        token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<RowPage, Failure>>;
}

impl<T: ListTable> AnyTable for T {
    fn schema(&self) -> &'static Arc<TableSchema> {
        &T::table().schema
    }

    fn service(&self) -> Service {
        T::Client::SERVICE
    }

    fn call(&self) -> &'static str {
        T::CALL
    }

    fn is_global(&self) -> bool {
        T::GLOBAL
    }

    fn page<'a>(
        &self,
        client: &'a ServiceClient,
        context: &'a RowContext<'a>,
        clock: &'a Clock,
        token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<RowPage, Failure>> {
        async move {
            let client = T::Client::of(client).ok_or_else(|| {
                bug(&format!(
                    "{} was given a client of {}",
                    T::table().schema.name,
                    client.service().info().id
                ))
            })?;
            let page = <T as ListTable>::page(client, token, clock).await?;
            let next = page.next.filter(|next| !next.is_empty());
            if next.is_some() && next.as_deref() == token {
                return Err(invalid_response("the next page's token is this page's own"));
            }
            let row = |item| Row { missing: T::missing(&item), item };
            let rows: Vec<_> = page.rows.into_iter().map(row).collect();
            let rows = T::table().batch(&rows, context).map_err(|error| bug(&error.to_string()))?;
            let keys = RowKeys::of(&rows);
            if !(0..rows.num_rows()).all(|row| keys.has_key(row)) {
                return Err(invalid_response("the list has items without a name"));
            }
            Ok(RowPage { rows, next })
        }
        .boxed()
    }
}

/// A failure that is ours.
fn bug(message: &str) -> Failure {
    Failure::new(FailureKind::Failed, message).with_code("Internal")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ssoinv_core::scope::{Partition, Place, Scope};

    use super::testing::{CannedService, clock};
    use super::*;

    /// The columns of `list` and `(made)` that Steampipe's users know, by table.
    const STEAMPIPE: [(&str, &str); 3] = [
        ("aws_s3_bucket", "region name creation_date title arn akas"),
        ("aws_ec2_instance", EC2),
        ("aws_lambda_function", LAMBDA),
    ];
    const EC2: &str = "region instance_id instance_type instance_state monitoring_state ami_launch_index:int architecture \
        boot_mode current_instance_boot_mode ipv6_address capacity_reservation_id \
        capacity_reservation_specification:json client_token cpu_options_core_count:int \
        cpu_options_threads_per_core:int ebs_optimized:bool ena_support:bool hypervisor iam_instance_profile_arn \
        iam_instance_profile_id image_id instance_lifecycle key_name launch_time:timestamp outpost_arn \
        placement_affinity placement_availability_zone placement_group_id placement_group_name placement_host_id \
        placement_host_resource_group_arn placement_partition_number:int placement_tenancy platform platform_details \
        private_ip_address:inet private_dns_name public_dns_name public_ip_address:inet root_device_name \
        root_device_type source_dest_check:bool spot_instance_request_id state_code:int state_transition_reason \
        state_transition_time:timestamp subnet_id tpm_support usage_operation usage_operation_update_time \
        virtualization_type vpc_id block_device_mappings:json elastic_gpu_associations:json \
        elastic_inference_accelerator_associations:json enclave_options:json hibernation_options:json \
        state_reason:json licenses:json maintenance_options:json metadata_options:json network_interfaces:json \
        private_dns_name_options:json product_codes:json security_groups:json tags_src:json title tags:json arn \
        akas:json";
    const LAMBDA: &str = "region name arn code_sha_256 code_size:int dead_letter_config_target_arn description handler \
        kms_key_arn last_modified:timestamp timeout:int version package_type master_arn memory_size:int revision_id role \
        runtime state state_reason state_reason_code last_update_status last_update_status_reason \
        last_update_status_reason_code vpc_id architectures:json environment_variables:json file_system_configs:json \
        ephemeral_storage:json tracing_config:json snap_start:json logging_config:json vpc_security_group_ids:json \
        vpc_subnet_ids:json layers:json title akas:json";

    #[test]
    fn tables_have_the_columns_that_people_know() {
        assert_eq!(TABLES.len(), STEAMPIPE.len());
        for (name, columns) in STEAMPIPE {
            let schema = find(name).expect(name).schema();
            for column in columns.split_whitespace() {
                let (column, expected) = column.split_once(':').unwrap_or((column, "text"));
                let found = schema.columns.iter().find(|info| *info.name == *column);
                let found = found.unwrap_or_else(|| panic!("{name} has no {column}"));
                let expected = match column {
                    "akas" => "json",
                    "creation_date" => "timestamp",
                    _ => expected,
                };
                assert_eq!(found.column_type.as_str(), expected, "{name}.{column}");
            }
            assert_eq!(&*schema.columns[2].name, "region", "{name}");
        }
        assert!(find("aws_s3_object").is_none());
    }

    #[test]
    fn columns_are_named_once_and_described() {
        for table in TABLES {
            let schema = table.schema();
            let names: HashSet<_> = schema.columns.iter().map(|column| &column.name).collect();
            assert_eq!(names.len(), schema.columns.len(), "{}", schema.name);
            for column in &schema.columns {
                let described = !column.description.is_empty() && !column.description.ends_with('.');
                assert!(described, "{}.{}", schema.name, column.name);
            }
        }
    }

    #[tokio::test]
    async fn another_services_client_is_a_bug_and_no_empty_page() {
        let client = CannedService::new((200, &[], String::new())).client(Service::Ec2);
        let scope = Scope {
            partition: Partition::Aws,
            account_id: None,
            account_name: None,
            role_name: None,
            profile: None,
            place: Place::Global,
        };
        let context = RowContext { scope: &scope, include_secrets: false };
        let table = find("aws_s3_bucket").expect("a table");
        let failure = table.page(&client, &context, &clock(), None).await.expect_err("no page");
        assert_eq!(failure.code.as_deref(), Some("Internal"));
    }
}
