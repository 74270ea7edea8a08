//! EC2's structures as JSON in AWS's own shape: every member that the SDK's type has, with the API's name for it, in
//! sorted order. One function a structure; a structure that several tables show stands here once.

use aws_sdk_ec2::types::{
    CapacityReservationSpecificationResponse, CapacityReservationTargetResponse,
    ConnectionTrackingSpecificationResponse, EbsInstanceBlockDevice, ElasticGpuAssociation,
    ElasticInferenceAcceleratorAssociation, EnclaveOptions, GroupIdentifier, HibernationOptions,
    InstanceAttachmentEnaSrdSpecification, InstanceAttachmentEnaSrdUdpSpecification,
    InstanceBlockDeviceMapping, InstanceIpv4Prefix, InstanceIpv6Address, InstanceIpv6Prefix,
    InstanceMaintenanceOptions, InstanceMetadataOptionsResponse, InstanceNetworkInterface,
    InstanceNetworkInterfaceAssociation, InstanceNetworkInterfaceAttachment,
    InstanceNetworkPerformanceOptions, InstancePrivateIpAddress, InstanceSecondaryInterface,
    InstanceSecondaryInterfaceAttachment, InstanceSecondaryInterfacePrivateIpAddress, LicenseConfiguration,
    OperatorResponse, PrivateDnsNameOptionsResponse, ProductCode, StateReason, Tag,
};
use ssoinv_core::json::Object;

use crate::column_values::{member_objects, millis};

pub(super) fn group(object: &mut Object<'_>, value: &GroupIdentifier) {
    object.text("GroupId", value.group_id.as_ref());
    object.text("GroupName", value.group_name.as_ref());
}

pub(super) fn block_device_mapping(object: &mut Object<'_>, value: &InstanceBlockDeviceMapping) {
    object.text("DeviceName", value.device_name.as_ref());
    object.object("Ebs", value.ebs.as_ref(), ebs);
}

pub(super) fn elastic_gpu_association(object: &mut Object<'_>, value: &ElasticGpuAssociation) {
    object.text("ElasticGpuAssociationId", value.elastic_gpu_association_id.as_ref());
    object.text("ElasticGpuAssociationState", value.elastic_gpu_association_state.as_ref());
    object.text("ElasticGpuAssociationTime", value.elastic_gpu_association_time.as_ref());
    object.text("ElasticGpuId", value.elastic_gpu_id.as_ref());
}

pub(super) fn inference_accelerator_association(
    object: &mut Object<'_>,
    value: &ElasticInferenceAcceleratorAssociation,
) {
    object.text("ElasticInferenceAcceleratorArn", value.elastic_inference_accelerator_arn.as_ref());
    object.text(
        "ElasticInferenceAcceleratorAssociationId",
        value.elastic_inference_accelerator_association_id.as_ref(),
    );
    object.text(
        "ElasticInferenceAcceleratorAssociationState",
        value.elastic_inference_accelerator_association_state.as_ref(),
    );
    object.timestamp(
        "ElasticInferenceAcceleratorAssociationTime",
        millis(value.elastic_inference_accelerator_association_time.as_ref()),
    );
}

pub(super) fn network_interface(object: &mut Object<'_>, value: &InstanceNetworkInterface) {
    object.object("Association", value.association.as_ref(), address_association);
    object.object("Attachment", value.attachment.as_ref(), interface_attachment);
    object.object(
        "ConnectionTrackingConfiguration",
        value.connection_tracking_configuration.as_ref(),
        connection_tracking,
    );
    object.text("Description", value.description.as_ref());
    member_objects(object, "Groups", value.groups.as_ref(), group);
    object.text("InterfaceType", value.interface_type.as_ref());
    member_objects(object, "Ipv4Prefixes", value.ipv4_prefixes.as_ref(), ipv4_prefix);
    member_objects(object, "Ipv6Addresses", value.ipv6_addresses.as_ref(), ipv6_address);
    member_objects(object, "Ipv6Prefixes", value.ipv6_prefixes.as_ref(), ipv6_prefix);
    object.text("MacAddress", value.mac_address.as_ref());
    object.text("NetworkInterfaceId", value.network_interface_id.as_ref());
    object.object("Operator", value.operator.as_ref(), operator);
    object.text("OwnerId", value.owner_id.as_ref());
    object.text("PrivateDnsName", value.private_dns_name.as_ref());
    object.text("PrivateIpAddress", value.private_ip_address.as_ref());
    member_objects(object, "PrivateIpAddresses", value.private_ip_addresses.as_ref(), private_ip_address);
    object.boolean("SourceDestCheck", value.source_dest_check);
    object.text("Status", value.status.as_ref());
    object.text("SubnetId", value.subnet_id.as_ref());
    object.text("VpcId", value.vpc_id.as_ref());
}

pub(super) fn state_reason(object: &mut Object<'_>, value: &StateReason) {
    object.text("Code", value.code.as_ref());
    object.text("Message", value.message.as_ref());
}

pub(super) fn tag(object: &mut Object<'_>, value: &Tag) {
    object.text("Key", value.key.as_ref());
    object.text("Value", value.value.as_ref());
}

pub(super) fn capacity_reservation_specification(
    object: &mut Object<'_>,
    value: &CapacityReservationSpecificationResponse,
) {
    object.text("CapacityReservationPreference", value.capacity_reservation_preference.as_ref());
    object.object(
        "CapacityReservationTarget",
        value.capacity_reservation_target.as_ref(),
        capacity_reservation_target,
    );
}

pub(super) fn hibernation_options(object: &mut Object<'_>, value: &HibernationOptions) {
    object.boolean("Configured", value.configured);
}

pub(super) fn license(object: &mut Object<'_>, value: &LicenseConfiguration) {
    object.text("LicenseConfigurationArn", value.license_configuration_arn.as_ref());
}

pub(super) fn metadata_options(object: &mut Object<'_>, value: &InstanceMetadataOptionsResponse) {
    object.text("HttpEndpoint", value.http_endpoint.as_ref());
    object.text("HttpProtocolIpv6", value.http_protocol_ipv6.as_ref());
    object.integer("HttpPutResponseHopLimit", value.http_put_response_hop_limit);
    object.text("HttpTokens", value.http_tokens.as_ref());
    object.text("InstanceMetadataTags", value.instance_metadata_tags.as_ref());
    object.text("State", value.state.as_ref());
}

pub(super) fn enclave_options(object: &mut Object<'_>, value: &EnclaveOptions) {
    object.boolean("Enabled", value.enabled);
}

pub(super) fn private_dns_name_options(object: &mut Object<'_>, value: &PrivateDnsNameOptionsResponse) {
    object.boolean("EnableResourceNameDnsAAAARecord", value.enable_resource_name_dns_aaaa_record);
    object.boolean("EnableResourceNameDnsARecord", value.enable_resource_name_dns_a_record);
    object.text("HostnameType", value.hostname_type.as_ref());
}

pub(super) fn maintenance_options(object: &mut Object<'_>, value: &InstanceMaintenanceOptions) {
    object.text("AutoRecovery", value.auto_recovery.as_ref());
    object.text("RebootMigration", value.reboot_migration.as_ref());
}

pub(super) fn network_performance_options(
    object: &mut Object<'_>,
    value: &InstanceNetworkPerformanceOptions,
) {
    object.text("BandwidthWeighting", value.bandwidth_weighting.as_ref());
}

pub(super) fn operator(object: &mut Object<'_>, value: &OperatorResponse) {
    object.boolean("HiddenByDefault", value.hidden_by_default);
    object.boolean("Managed", value.managed);
    object.text("Principal", value.principal.as_ref());
}

pub(super) fn secondary_interface(object: &mut Object<'_>, value: &InstanceSecondaryInterface) {
    object.object("Attachment", value.attachment.as_ref(), secondary_attachment);
    object.text("InterfaceType", value.interface_type.as_ref());
    object.text("MacAddress", value.mac_address.as_ref());
    object.text("OwnerId", value.owner_id.as_ref());
    member_objects(
        object,
        "PrivateIpAddresses",
        value.private_ip_addresses.as_ref(),
        secondary_private_ip_address,
    );
    object.text("SecondaryInterfaceId", value.secondary_interface_id.as_ref());
    object.text("SecondaryNetworkId", value.secondary_network_id.as_ref());
    object.text("SecondarySubnetId", value.secondary_subnet_id.as_ref());
    object.boolean("SourceDestCheck", value.source_dest_check);
    object.text("Status", value.status.as_ref());
}

pub(super) fn product_code(object: &mut Object<'_>, value: &ProductCode) {
    object.text("ProductCodeId", value.product_code_id.as_ref());
    object.text("ProductCodeType", value.product_code_type.as_ref());
}

fn ebs(object: &mut Object<'_>, value: &EbsInstanceBlockDevice) {
    object.text("AssociatedResource", value.associated_resource.as_ref());
    object.timestamp("AttachTime", millis(value.attach_time.as_ref()));
    object.boolean("DeleteOnTermination", value.delete_on_termination);
    object.integer("EbsCardIndex", value.ebs_card_index);
    object.object("Operator", value.operator.as_ref(), operator);
    object.text("Status", value.status.as_ref());
    object.text("VolumeId", value.volume_id.as_ref());
    object.text("VolumeOwnerId", value.volume_owner_id.as_ref());
}

fn address_association(object: &mut Object<'_>, value: &InstanceNetworkInterfaceAssociation) {
    object.text("CarrierIp", value.carrier_ip.as_ref());
    object.text("CustomerOwnedIp", value.customer_owned_ip.as_ref());
    object.text("IpOwnerId", value.ip_owner_id.as_ref());
    object.text("PublicDnsName", value.public_dns_name.as_ref());
    object.text("PublicIp", value.public_ip.as_ref());
}

fn interface_attachment(object: &mut Object<'_>, value: &InstanceNetworkInterfaceAttachment) {
    object.timestamp("AttachTime", millis(value.attach_time.as_ref()));
    object.text("AttachmentId", value.attachment_id.as_ref());
    object.boolean("DeleteOnTermination", value.delete_on_termination);
    object.integer("DeviceIndex", value.device_index);
    object.integer("EnaQueueCount", value.ena_queue_count);
    object.object("EnaSrdSpecification", value.ena_srd_specification.as_ref(), ena_srd);
    object.integer("NetworkCardIndex", value.network_card_index);
    object.text("Status", value.status.as_ref());
}

fn ipv6_address(object: &mut Object<'_>, value: &InstanceIpv6Address) {
    object.text("Ipv6Address", value.ipv6_address.as_ref());
    object.boolean("IsPrimaryIpv6", value.is_primary_ipv6);
}

fn private_ip_address(object: &mut Object<'_>, value: &InstancePrivateIpAddress) {
    object.object("Association", value.association.as_ref(), address_association);
    object.boolean("Primary", value.primary);
    object.text("PrivateDnsName", value.private_dns_name.as_ref());
    object.text("PrivateIpAddress", value.private_ip_address.as_ref());
}

fn ipv4_prefix(object: &mut Object<'_>, value: &InstanceIpv4Prefix) {
    object.text("Ipv4Prefix", value.ipv4_prefix.as_ref());
}

fn ipv6_prefix(object: &mut Object<'_>, value: &InstanceIpv6Prefix) {
    object.text("Ipv6Prefix", value.ipv6_prefix.as_ref());
}

fn connection_tracking(object: &mut Object<'_>, value: &ConnectionTrackingSpecificationResponse) {
    object.integer("TcpEstablishedTimeout", value.tcp_established_timeout);
    object.integer("UdpStreamTimeout", value.udp_stream_timeout);
    object.integer("UdpTimeout", value.udp_timeout);
}

fn capacity_reservation_target(object: &mut Object<'_>, value: &CapacityReservationTargetResponse) {
    object.text("CapacityReservationId", value.capacity_reservation_id.as_ref());
    object
        .text("CapacityReservationResourceGroupArn", value.capacity_reservation_resource_group_arn.as_ref());
}

fn secondary_attachment(object: &mut Object<'_>, value: &InstanceSecondaryInterfaceAttachment) {
    object.timestamp("AttachTime", millis(value.attach_time.as_ref()));
    object.text("AttachmentId", value.attachment_id.as_ref());
    object.boolean("DeleteOnTermination", value.delete_on_termination);
    object.integer("DeviceIndex", value.device_index);
    object.integer("NetworkCardIndex", value.network_card_index);
    object.text("Status", value.status.as_ref());
}

fn secondary_private_ip_address(object: &mut Object<'_>, value: &InstanceSecondaryInterfacePrivateIpAddress) {
    object.text("PrivateIpAddress", value.private_ip_address.as_ref());
}

fn ena_srd(object: &mut Object<'_>, value: &InstanceAttachmentEnaSrdSpecification) {
    object.boolean("EnaSrdEnabled", value.ena_srd_enabled);
    object.object("EnaSrdUdpSpecification", value.ena_srd_udp_specification.as_ref(), ena_srd_udp);
}

fn ena_srd_udp(object: &mut Object<'_>, value: &InstanceAttachmentEnaSrdUdpSpecification) {
    object.boolean("EnaSrdUdpEnabled", value.ena_srd_udp_enabled);
}
