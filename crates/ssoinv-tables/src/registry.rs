//! Every table, one line each.

use std::sync::{Arc, LazyLock};

use crate::table::Table;
use crate::tables::{ec2_instance, lambda_function, s3_bucket};

static TABLES: LazyLock<Vec<Arc<dyn Table>>> = LazyLock::new(|| {
    vec![Arc::new(ec2_instance::table()), Arc::new(lambda_function::table()), Arc::new(s3_bucket::table())]
});

/// Every table, in the order in which tables are listed.
#[must_use]
pub fn tables() -> &'static [Arc<dyn Table>] {
    &TABLES
}

/// Returns the table with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Arc<dyn Table>> {
    tables().iter().find(|table| &*table.schema().name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
        assert_eq!(tables().len(), STEAMPIPE.len());
        for (name, columns) in STEAMPIPE {
            let schema = find(name).expect(name).schema();
            for column in columns.split_whitespace() {
                let (column, expected) = column.split_once(':').unwrap_or((column, "text"));
                let found = schema.column(column).map(|found| &schema.columns[found]);
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
        for table in tables() {
            let schema = table.schema();
            let names: HashSet<_> = schema.columns.iter().map(|column| &column.name).collect();
            assert_eq!(names.len(), schema.columns.len(), "{}", schema.name);
            for column in &schema.columns {
                let described = !column.description.is_empty() && !column.description.ends_with('.');
                assert!(described, "{}.{}", schema.name, column.name);
            }
        }
    }
}
