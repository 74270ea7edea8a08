//! `aws_ec2_instance`: EC2's DescribeInstances, in each region.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
//!
//! - `MaxResults` is at most 1,000; without it the call isn't paged and large accounts time out. It can't go together
//!   with `InstanceIds`.
//! - Pages are made of reservations, which hold the instances of one launch. An empty page may have a `NextToken`.
//! - Terminated instances stay in the list for about an hour, with few fields.
//! - `reservationSet` is there, empty, where there are none.

use std::borrow::Cow;
use std::sync::Arc;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    CapacityReservationSpecificationResponse, IamInstanceProfile, Instance, Placement, Reservation,
};
use chrono::NaiveDateTime;
use ssoinv_core::json::rfc3339;
use ssoinv_core::table::{Column, RowContext, RowEncoder, TableInfo};
use ssoinv_http::attempt_error::AttemptError;
use ssoinv_http::classify::invalid_response;

use super::ec2_shapes as shapes;
use crate::column_values::{akas, filled, millis, object, objects, region_of_call, regional_arn, text};
use crate::declaration::TableDeclaration;
use crate::paging::Page;
use crate::services::Ec2;
use crate::table::Table;

/// Instances in a page, at most.
const MAX_RESULTS: i32 = 1000;

/// An instance, and the reservation that it was launched in (without its instances).
#[derive(Debug)]
struct Item {
    instance: Instance,
    reservation: Arc<Reservation>,
}

/// `aws_ec2_instance`.
pub(crate) fn table() -> impl Table {
    let info = TableInfo {
        name: "aws_ec2_instance",
        description: "EC2 instances",
        noun: ("instance", "instances"),
        command: Some("instances"),
        key: &["arn"],
        default_columns: &[
            "account_id",
            "account_name",
            "region",
            "instance_id",
            "title",
            "instance_type",
            "instance_state",
            "private_ip_address",
            "public_ip_address",
            "launch_time",
        ],
    };
    let columns = what_and_how().into_iter().chain(where_and_who()).chain(nested()).chain(made());
    let rows = RowEncoder::new(&info, columns.chain(beyond_steampipe()));
    TableDeclaration::list::<Ec2, _>(rows, "DescribeInstances", describe_instances)
}

async fn describe_instances(client: Client, token: Option<String>) -> Result<Page<Item>, AttemptError> {
    let response = client.describe_instances().max_results(MAX_RESULTS).set_next_token(token).send().await?;
    let reservations = response
        .reservations
        .ok_or_else(|| invalid_response("DescribeInstances returned no list of reservations"))?;
    let mut items = Vec::with_capacity(reservations.len());
    for mut reservation in reservations {
        let instances = reservation.instances.take().unwrap_or_default();
        let reservation = Arc::new(reservation);
        items.extend(
            instances.into_iter().map(|instance| Item { instance, reservation: Arc::clone(&reservation) }),
        );
    }
    Ok(Page { items, next: response.next_token })
}

fn id(row: &Item) -> Option<&str> {
    row.instance.instance_id.as_deref().filter(|id| !id.is_empty())
}

fn arn<'r>(row: &Item, context: &RowContext<'_>) -> Option<Cow<'r, str>> {
    let id = id(row)?;
    let account = match context.scope.account() {
        "" => row.reservation.owner_id.as_deref().unwrap_or_default(),
        account => account,
    };
    Some(Cow::Owned(regional_arn(context, "ec2", account, &format!("instance/{id}"))))
}

/// The `Name` tag, or else the ID.
fn title(row: &Item) -> Option<&str> {
    let name = row.instance.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| tag.value());
    name.filter(|name| !name.is_empty()).or_else(|| id(row))
}

fn placement(row: &Item) -> Option<&Placement> {
    row.instance.placement.as_ref()
}

fn iam_profile(row: &Item) -> Option<&IamInstanceProfile> {
    row.instance.iam_instance_profile.as_ref()
}

/// The moment in `User initiated (2026-01-02 03:04:05 GMT)`.
fn transition_time(reason: &str) -> Option<i64> {
    let (_, rest) = reason.rsplit_once('(')?;
    let (moment, _) = rest.split_once(')')?;
    let time = NaiveDateTime::parse_from_str(moment.trim(), "%Y-%m-%d %H:%M:%S GMT").ok()?;
    Some(time.and_utc().timestamp_millis())
}

/// The region, and what the instance is.
fn what_and_how() -> Vec<Column<Item>> {
    vec![
        region_of_call(),
        Column::text("instance_id", "The instance's ID", |row, _| text(row.instance.instance_id.as_ref())),
        Column::text("instance_type", "The instance type, like t3.micro", |row, _| {
            text(row.instance.instance_type.as_ref())
        }),
        Column::text(
            "instance_state",
            "pending, running, shutting-down, terminated, stopping or stopped",
            |row, _| row.instance.state.as_ref().and_then(|state| text(state.name.as_ref())),
        ),
        Column::text("monitoring_state", "Whether detailed monitoring is on", |row, _| {
            row.instance.monitoring.as_ref().and_then(|monitoring| text(monitoring.state.as_ref()))
        }),
        Column::integer("ami_launch_index", "The instance's number within its launch, from 0", |row| {
            row.instance.ami_launch_index.map(i64::from)
        }),
        Column::text("architecture", "The architecture of the image", |row, _| {
            text(row.instance.architecture.as_ref())
        }),
        Column::text("boot_mode", "The boot mode that the image asks for", |row, _| {
            text(row.instance.boot_mode.as_ref())
        }),
        Column::text("current_instance_boot_mode", "The boot mode that is in use", |row, _| {
            text(row.instance.current_instance_boot_mode.as_ref())
        }),
        Column::text("ipv6_address", "The IPv6 address", |row, _| filled(row.instance.ipv6_address.as_ref())),
        Column::text("capacity_reservation_id", "The Capacity Reservation that it runs in", |row, _| {
            text(row.instance.capacity_reservation_id.as_ref())
        }),
        Column::json(
            "capacity_reservation_specification",
            "Which Capacity Reservations it may run in",
            |row, _, json| {
                let value: Option<&CapacityReservationSpecificationResponse> =
                    row.instance.capacity_reservation_specification.as_ref();
                object(json, value, shapes::capacity_reservation_specification);
            },
        ),
        Column::text("client_token", "The idempotency token of the launch", |row, _| {
            text(row.instance.client_token.as_ref())
        }),
        Column::integer("cpu_options_core_count", "CPU cores", |row| {
            row.instance.cpu_options.as_ref().and_then(|options| options.core_count).map(i64::from)
        }),
        Column::integer("cpu_options_threads_per_core", "Threads a core", |row| {
            row.instance.cpu_options.as_ref().and_then(|options| options.threads_per_core).map(i64::from)
        }),
        Column::boolean("ebs_optimized", "Whether it is optimized for EBS input and output", |row| {
            row.instance.ebs_optimized
        }),
        Column::boolean("ena_support", "Whether enhanced networking with ENA is on", |row| {
            row.instance.ena_support
        }),
        Column::text("hypervisor", "The hypervisor; xen stands for Nitro too", |row, _| {
            text(row.instance.hypervisor.as_ref())
        }),
        Column::text("iam_instance_profile_arn", "The ARN of the instance profile", |row, _| {
            text(iam_profile(row)?.arn.as_ref())
        }),
        Column::text("iam_instance_profile_id", "The ID of the instance profile", |row, _| {
            text(iam_profile(row)?.id.as_ref())
        }),
        Column::text("image_id", "The AMI that it was launched from", |row, _| {
            text(row.instance.image_id.as_ref())
        }),
        Column::text(
            "instance_lifecycle",
            "spot, scheduled or capacity-block; null for on-demand instances",
            |row, _| text(row.instance.instance_lifecycle.as_ref()),
        ),
        Column::text("key_name", "The name of the key pair", |row, _| text(row.instance.key_name.as_ref())),
        Column::timestamp("launch_time", "When it was last launched or started", |row| {
            millis(row.instance.launch_time.as_ref())
        }),
    ]
}

/// Where the instance runs, on what, and its addresses.
fn where_and_who() -> Vec<Column<Item>> {
    vec![
        Column::text("outpost_arn", "The ARN of the Outpost", |row, _| {
            text(row.instance.outpost_arn.as_ref())
        }),
        Column::text("placement_affinity", "Its affinity to the Dedicated Host", |row, _| {
            text(placement(row)?.affinity.as_ref())
        }),
        Column::text("placement_availability_zone", "The Availability Zone", |row, _| {
            text(placement(row)?.availability_zone.as_ref())
        }),
        Column::text("placement_group_id", "The ID of the placement group", |row, _| {
            text(placement(row)?.group_id.as_ref())
        }),
        Column::text("placement_group_name", "The name of the placement group", |row, _| {
            text(placement(row)?.group_name.as_ref())
        }),
        Column::text("placement_host_id", "The ID of the Dedicated Host", |row, _| {
            text(placement(row)?.host_id.as_ref())
        }),
        Column::text("placement_host_resource_group_arn", "The ARN of the host resource group", |row, _| {
            text(placement(row)?.host_resource_group_arn.as_ref())
        }),
        Column::integer("placement_partition_number", "Its partition in the placement group", |row| {
            placement(row)?.partition_number.map(i64::from)
        }),
        Column::text("placement_tenancy", "default, dedicated or host", |row, _| {
            text(placement(row)?.tenancy.as_ref())
        }),
        Column::text("platform", "windows; null for anything else", |row, _| {
            text(row.instance.platform.as_ref())
        }),
        Column::text("platform_details", "The platform as it is billed", |row, _| {
            text(row.instance.platform_details.as_ref())
        }),
        Column::inet("private_ip_address", "The private IPv4 address", |row, _| {
            filled(row.instance.private_ip_address.as_ref())
        }),
        Column::text("private_dns_name", "The private DNS name", |row, _| {
            text(row.instance.private_dns_name.as_ref())
        }),
        Column::text("public_dns_name", "The public DNS name", |row, _| {
            text(row.instance.public_dns_name.as_ref())
        }),
        Column::inet("public_ip_address", "The public IPv4 address", |row, _| {
            filled(row.instance.public_ip_address.as_ref())
        }),
        Column::text("root_device_name", "The device name of the root volume", |row, _| {
            text(row.instance.root_device_name.as_ref())
        }),
        Column::text("root_device_type", "ebs or instance-store", |row, _| {
            text(row.instance.root_device_type.as_ref())
        }),
        Column::boolean("source_dest_check", "Whether it may only send and receive as itself", |row| {
            row.instance.source_dest_check
        }),
        Column::text("spot_instance_request_id", "The Spot Instance request", |row, _| {
            text(row.instance.spot_instance_request_id.as_ref())
        }),
        Column::integer("state_code", "The state as a number", |row| {
            row.instance.state.as_ref().and_then(|state| state.code).map(i64::from)
        }),
        Column::text("state_transition_reason", "Why the state last changed, as text", |row, _| {
            text(row.instance.state_transition_reason.as_ref())
        }),
        Column::timestamp(
            "state_transition_time",
            "When the state last changed, where the reason says it",
            |row| row.instance.state_transition_reason.as_deref().and_then(transition_time),
        ),
        Column::text("subnet_id", "The subnet", |row, _| text(row.instance.subnet_id.as_ref())),
        Column::text("tpm_support", "v2.0 where it has a NitroTPM", |row, _| {
            text(row.instance.tpm_support.as_ref())
        }),
        Column::text("usage_operation", "The operation code that it is billed under", |row, _| {
            text(row.instance.usage_operation.as_ref())
        }),
        Column::text("usage_operation_update_time", "When usage_operation last changed", |row, _| {
            millis(row.instance.usage_operation_update_time.as_ref()).and_then(rfc3339).map(Cow::Owned)
        }),
        Column::text("virtualization_type", "hvm or paravirtual", |row, _| {
            text(row.instance.virtualization_type.as_ref())
        }),
        Column::text("vpc_id", "The VPC", |row, _| text(row.instance.vpc_id.as_ref())),
    ]
}

/// What AWS gives as objects and lists.
fn nested() -> Vec<Column<Item>> {
    vec![
        Column::json("block_device_mappings", "Its EBS volumes", |row, _, json| {
            objects(json, row.instance.block_device_mappings.as_ref(), shapes::block_device_mapping);
        }),
        Column::json("elastic_gpu_associations", "Its Elastic Graphics accelerators", |row, _, json| {
            objects(json, row.instance.elastic_gpu_associations.as_ref(), shapes::elastic_gpu_association);
        }),
        Column::json(
            "elastic_inference_accelerator_associations",
            "Its Elastic Inference accelerators",
            |row, _, json| {
                let items = row.instance.elastic_inference_accelerator_associations.as_ref();
                objects(json, items, shapes::inference_accelerator_association);
            },
        ),
        Column::json("enclave_options", "Whether Nitro Enclaves are on", |row, _, json| {
            object(json, row.instance.enclave_options.as_ref(), shapes::enclave_options);
        }),
        Column::json("hibernation_options", "Whether it can hibernate", |row, _, json| {
            object(json, row.instance.hibernation_options.as_ref(), shapes::hibernation_options);
        }),
        Column::json("state_reason", "Why the state last changed, as code and message", |row, _, json| {
            object(json, row.instance.state_reason.as_ref(), shapes::state_reason);
        }),
        Column::json("licenses", "Its licence configurations", |row, _, json| {
            objects(json, row.instance.licenses.as_ref(), shapes::license);
        }),
        Column::json("maintenance_options", "Whether it recovers and migrates by itself", |row, _, json| {
            object(json, row.instance.maintenance_options.as_ref(), shapes::maintenance_options);
        }),
        Column::json(
            "metadata_options",
            "How its metadata service is set; HttpTokens is IMDSv2",
            |row, _, json| {
                object(json, row.instance.metadata_options.as_ref(), shapes::metadata_options);
            },
        ),
        Column::json("network_interfaces", "Its network interfaces", |row, _, json| {
            objects(json, row.instance.network_interfaces.as_ref(), shapes::network_interface);
        }),
        Column::json("private_dns_name_options", "How its host name is made", |row, _, json| {
            object(json, row.instance.private_dns_name_options.as_ref(), shapes::private_dns_name_options);
        }),
        Column::json("product_codes", "Product codes of the AWS Marketplace", |row, _, json| {
            objects(json, row.instance.product_codes.as_ref(), shapes::product_code);
        }),
        Column::json("security_groups", "Its security groups", |row, _, json| {
            objects(json, row.instance.security_groups.as_ref(), shapes::group);
        }),
        Column::json("tags_src", "Its tags as AWS gives them", |row, _, json| {
            objects(json, row.instance.tags.as_ref(), shapes::tag);
        }),
    ]
}

/// What is made from the answer.
fn made() -> Vec<Column<Item>> {
    vec![
        Column::text("title", "The Name tag, or else the ID", |row, _| title(row).map(Cow::Borrowed)),
        Column::json("tags", "Its tags, by key", |row, _, json| {
            if let Some(tags) = &row.instance.tags {
                json.map(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))));
            }
        }),
        Column::text("arn", "The instance's ARN", |row, context| arn(row, context)),
        Column::json("akas", "The instance's ARN, as a list", |row, context, json| {
            akas(json, arn(row, context));
        }),
    ]
}

/// What DescribeInstances gives and Steampipe's table doesn't have, or has from another call.
fn beyond_steampipe() -> Vec<Column<Item>> {
    vec![
        Column::text("kernel_id", "The kernel, for paravirtual instances", |row, _| {
            text(row.instance.kernel_id.as_ref())
        }),
        Column::text("ram_disk_id", "The RAM disk, for paravirtual instances", |row, _| {
            text(row.instance.ramdisk_id.as_ref())
        }),
        Column::text(
            "sriov_net_support",
            "Whether enhanced networking with the Intel 82599 is on",
            |row, _| text(row.instance.sriov_net_support.as_ref()),
        ),
        Column::text("capacity_block_id", "The Capacity Block that it runs in", |row, _| {
            text(row.instance.capacity_block_id.as_ref())
        }),
        Column::text("cpu_options_amd_sev_snp", "Whether AMD SEV-SNP is on", |row, _| {
            text(row.instance.cpu_options.as_ref()?.amd_sev_snp.as_ref())
        }),
        Column::text(
            "cpu_options_nested_virtualization",
            "Whether virtual machines may run in it",
            |row, _| text(row.instance.cpu_options.as_ref()?.nested_virtualization.as_ref()),
        ),
        Column::text(
            "placement_availability_zone_id",
            "The Availability Zone's ID, the same in all accounts",
            |row, _| text(placement(row)?.availability_zone_id.as_ref()),
        ),
        Column::text("placement_spread_domain", "Reserved by AWS", |row, _| {
            text(placement(row)?.spread_domain.as_ref())
        }),
        Column::json("network_performance_options", "How bandwidth is shared out", |row, _, json| {
            let options = row.instance.network_performance_options.as_ref();
            object(json, options, shapes::network_performance_options);
        }),
        Column::json("operator", "The service that manages it, if one does", |row, _, json| {
            object(json, row.instance.operator.as_ref(), shapes::operator);
        }),
        Column::json("secondary_interfaces", "Its interfaces in secondary networks", |row, _, json| {
            objects(json, row.instance.secondary_interfaces.as_ref(), shapes::secondary_interface);
        }),
        Column::text("reservation_id", "The launch that it belongs to", |row, _| {
            text(row.reservation.reservation_id.as_ref())
        }),
        Column::text("owner_id", "The account that launched it", |row, _| {
            text(row.reservation.owner_id.as_ref())
        }),
        Column::text("requester_id", "The service that launched it on the owner's behalf", |row, _| {
            text(row.reservation.requester_id.as_ref())
        }),
        Column::json(
            "reservation_groups",
            "The security groups of its launch, in EC2-Classic",
            |row, _, json| {
                objects(json, row.reservation.groups.as_ref(), shapes::group);
            },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::{expect, expect_file};
    use ssoinv_core::failure::Remedy;
    use ssoinv_http::classify::INVALID_RESPONSE;

    use super::*;
    use crate::testing::{CannedHttp, calls, leaves, page, scan, shown};

    const WHOLE: &str = include_str!("responses/every_member_of_an_instance.xml");
    const EMPTY: &str = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";

    #[tokio::test]
    async fn every_member_of_the_response_is_in_the_row() {
        let http = CannedHttp::pages([WHOLE, EMPTY]);
        let scanned = scan(&table(), &http, &[], false).await.expect("two pages");
        expect![[r#"
            POST https://ec2.eu-west-1.amazonaws.com/ Action=DescribeInstances&Version=2016-11-15&MaxResults=1000
            POST https://ec2.eu-west-1.amazonaws.com/ Action=DescribeInstances&Version=2016-11-15&NextToken=page-2&MaxResults=1000"#]]
        .assert_eq(&http.requests().join("\n"));
        let row = shown(&scanned.pages[0], 0);
        expect_file!["responses/every_member_of_an_instance.txt"].assert_eq(&row);
        for leaf in leaves(WHOLE) {
            let of_response = leaf == "page-2" || leaf.ends_with("-example");
            // Milliseconds are only written where there are some, and the tag's value has its own test.
            let leaf = leaf.replace(".000Z", "Z");
            assert!(of_response || leaf.contains("&lt;") || row.contains(&leaf), "{leaf} got lost");
        }
    }

    /// Fails when the SDK gains a member: then the response here needs it, and perhaps the table a column.
    #[tokio::test]
    async fn the_response_has_every_member_of_the_sdk() {
        let calls = calls(&CannedHttp::ok(WHOLE));
        let page = calls.call::<Ec2, _, _>("DescribeInstances", |client| describe_instances(client, None));
        let row = format!("{:#?}", page.await.expect("a page").items[0]);
        let missing: Vec<_> = row.lines().filter(|line| line.ends_with("None,")).collect();
        // The reservation's instances have become the rows.
        assert_eq!(missing, ["        instances: None,"]);
    }

    #[tokio::test]
    async fn an_empty_page_with_a_token_is_not_the_end() {
        const LOOP: &str = "<DescribeInstancesResponse><reservationSet/><nextToken>t2</nextToken></DescribeInstancesResponse>";
        let scanned = scan(&table(), &CannedHttp::pages([LOOP, EMPTY]), &[], false).await.expect("two pages");
        assert_eq!(scanned.pages.len(), 2);
        let failure = page(&table(), LOOP).await.expect_err("a list without an end");
        assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE));
    }

    /// The SDK's decoder would make a shorter list of each of these.
    #[tokio::test]
    async fn a_truncated_response_is_no_page() {
        let cuts = WHOLE.char_indices().map(|(at, _)| at).step_by(97).chain([WHOLE.trim_end().len() - 1]);
        for cut in cuts {
            let failure = page(&table(), &WHOLE[..cut]).await.expect_err("a truncated response");
            assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE), "{cut}");
            assert_eq!(failure.remedy, Remedy::TryAgain, "{cut}");
        }
        let torn = WHOLE.replacen("</tagSet>", "</tagset>", 1);
        let failure = page(&table(), &torn).await.expect_err("an ill-formed response");
        assert_eq!(failure.code.as_deref(), Some(INVALID_RESPONSE));
    }

    #[tokio::test]
    async fn unknown_enum_values_are_kept() {
        let body = "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>\
                    <instanceType>z99.mega</instanceType><instanceState><code>99</code><name>dreaming</name></instanceState>\
                    </item></instancesSet></item></reservationSet></DescribeInstancesResponse>";
        let row = shown(&page(&table(), body).await.expect("a page"), 0);
        for line in ["instance_type `z99.mega`", "instance_state `dreaming`", "title `i-1`"] {
            assert!(row.lines().any(|shown| shown == line), "{line} isn't in {row}");
        }
        assert!(row.lines().any(|shown| shown == "tags"), "no tags are null: {row}");
    }

    #[test]
    fn a_transition_reason_contains_a_time() {
        let time = transition_time("User initiated (2026-01-02 03:04:05 GMT)").and_then(rfc3339);
        assert_eq!(time.as_deref(), Some("2026-01-02T03:04:05Z"));
        for reason in ["", "User initiated", "Server.InternalError (x)", ") ("] {
            assert_eq!(transition_time(reason), None, "{reason}");
        }
    }
}
