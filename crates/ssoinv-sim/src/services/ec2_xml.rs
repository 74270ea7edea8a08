//! The XML of a reservation in DescribeInstances, with the element names of the EC2 API reference (`Instance` and the
//! types in it). Values that the organisation doesn't have are made up from the instance's seed: VPCs and groups are
//! the same for all instances of an account and region, interfaces and volumes are each instance's own.

use crate::clock;
use crate::encoding::{push_element, push_value};
use crate::resources::Instance;
use crate::rng::{self, Rng};

/// The account and region of instances.
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    pub(crate) partition: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

impl Placement<'_> {
    /// Returns an ID that all instances of the account and region share.
    fn shared(&self, kind: &str, which: u64) -> String {
        let parts = [rng::of_text(self.account), rng::of_text(self.region), rng::of_text(kind), which];
        format!("{kind}-0{}", Rng::new(rng::of_parts(&parts)).hex(16))
    }
}

/// Appends an element around what `inner` appends.
fn around(xml: &mut String, name: &str, inner: impl FnOnce(&mut String)) {
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    inner(xml);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

fn arm(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    family.split_once(|c: char| c.is_ascii_digit()).is_some_and(|(_, rest)| rest.contains('g'))
}

fn cores(instance_type: &str) -> (u32, u32) {
    let size = instance_type.split('.').nth(1).unwrap_or_default();
    let vcpus = match size {
        "nano" | "micro" | "small" | "medium" | "large" => 2,
        "xlarge" => 4,
        larger => 4 * larger.trim_end_matches("xlarge").parse::<u32>().unwrap_or(1),
    };
    if arm(instance_type) { (vcpus, 1) } else { (vcpus / 2, 2) }
}

fn state_code(state: &str) -> u16 {
    match state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    }
}

/// The addresses, subnet and groups of an instance.
struct Net {
    private: String,
    private_name: String,
    public: Option<(String, String)>,
    ipv6: Option<String>,
    subnet: String,
    vpc: String,
    group: (String, &'static str),
    group_two: (String, &'static str),
}

fn net(placement: &Placement<'_>, instance: &Instance, rng: &mut Rng) -> Net {
    let which = rng.below(2);
    let octets = [16 + which * 16, rng.below(250), 4 + rng.below(250)];
    let joined = |octets: &[u64], by: &str| octets.iter().map(u64::to_string).collect::<Vec<_>>().join(by);
    let suffix = if placement.region == "us-east-1" {
        "ec2".to_owned()
    } else {
        format!("{}.compute", placement.region)
    };
    let public = (instance.public && instance.state == "running").then(|| {
        let octets = [54, rng.below(250), rng.below(250), 1 + rng.below(250)];
        let host = if placement.region == "us-east-1" { "compute-1" } else { &suffix };
        (joined(&octets, "."), format!("ec2-{}.{host}.amazonaws.com", joined(&octets, "-")))
    });
    let [low, middle, high] = octets;
    Net {
        private: format!("10.{}", joined(&octets, ".")),
        private_name: format!("ip-10-{}.{suffix}.internal", joined(&octets, "-")),
        public,
        ipv6: instance
            .ipv6
            .then(|| format!("2600:1f18:{:x}:{:x}::{:x}", 0x1000 + low, 0x2000 + middle, 1 + high)),
        subnet: placement.shared(
            "subnet",
            which * 4 + u64::from(instance.zone.as_bytes().last().copied().unwrap_or(0)) % 4,
        ),
        vpc: placement.shared("vpc", which),
        group: (placement.shared("sg", which), "default-workload"),
        group_two: (placement.shared("sg", 10 + which), "ssm-endpoints"),
    }
}

fn groups(xml: &mut String, net: &Net) {
    around(xml, "groupSet", |xml| {
        for (id, name) in [&net.group, &net.group_two] {
            around(xml, "item", |xml| {
                push_element(xml, "groupId", id);
                push_element(xml, "groupName", name);
            });
        }
    });
}

fn association(xml: &mut String, net: &Net) {
    if let Some((ip, name)) = &net.public {
        around(xml, "association", |xml| {
            push_element(xml, "ipOwnerId", "amazon");
            push_element(xml, "publicDnsName", name);
            push_element(xml, "publicIp", ip);
        });
    }
}

fn interface(xml: &mut String, placement: &Placement<'_>, launched: &str, net: &Net, rng: &mut Rng) {
    around(xml, "item", |xml| {
        push_element(xml, "networkInterfaceId", &format!("eni-0{}", rng.hex(16)));
        push_element(xml, "subnetId", &net.subnet);
        push_element(xml, "vpcId", &net.vpc);
        xml.push_str("<description/>");
        push_element(xml, "ownerId", placement.account);
        push_element(xml, "status", "in-use");
        let mac = rng.hex(10);
        let mac: Vec<&str> = (0..5).map(|pair| &mac[pair * 2..pair * 2 + 2]).collect();
        push_element(xml, "macAddress", &format!("0a:{}", mac.join(":")));
        push_element(xml, "privateIpAddress", &net.private);
        push_element(xml, "privateDnsName", &net.private_name);
        push_value(xml, "sourceDestCheck", true);
        groups(xml, net);
        around(xml, "attachment", |xml| {
            push_element(xml, "attachmentId", &format!("eni-attach-0{}", rng.hex(16)));
            push_value(xml, "deviceIndex", 0);
            push_value(xml, "networkCardIndex", 0);
            push_element(xml, "status", "attached");
            push_element(xml, "attachTime", launched);
            push_value(xml, "deleteOnTermination", true);
        });
        association(xml, net);
        around(xml, "privateIpAddressesSet", |xml| {
            around(xml, "item", |xml| {
                push_element(xml, "privateIpAddress", &net.private);
                push_element(xml, "privateDnsName", &net.private_name);
                push_value(xml, "primary", true);
                association(xml, net);
            });
        });
        match &net.ipv6 {
            None => xml.push_str("<ipv6AddressesSet/>"),
            Some(ip) => around(xml, "ipv6AddressesSet", |xml| {
                around(xml, "item", |xml| {
                    push_element(xml, "ipv6Address", ip);
                    push_value(xml, "isPrimaryIpv6", false);
                });
            }),
        }
        push_element(xml, "interfaceType", "interface");
        around(xml, "operator", |xml| push_value(xml, "managed", false));
    });
}

fn volumes(xml: &mut String, launched: &str, root: &str, rng: &mut Rng) {
    around(xml, "blockDeviceMapping", |xml| {
        let data = rng.percent(40).then_some("/dev/sdf");
        for device in [Some(root), data].into_iter().flatten() {
            around(xml, "item", |xml| {
                push_element(xml, "deviceName", device);
                around(xml, "ebs", |xml| {
                    push_element(xml, "volumeId", &format!("vol-0{}", rng.hex(16)));
                    push_element(xml, "status", "attached");
                    push_element(xml, "attachTime", launched);
                    push_value(xml, "deleteOnTermination", device == root);
                    push_value(xml, "ebsCardIndex", 0);
                });
            });
        }
    });
}

fn tags(xml: &mut String, instance: &Instance) {
    if instance.tags.is_empty() {
        return;
    }
    around(xml, "tagSet", |xml| {
        for (key, value) in &instance.tags {
            around(xml, "item", |xml| {
                push_element(xml, "key", key);
                push_element(xml, "value", value);
            });
        }
    });
}

/// Appends a reservation with its instances.
pub(crate) fn push_reservation(xml: &mut String, placement: &Placement<'_>, instances: &[Instance]) {
    let mut rng = Rng::new(instances.first().map_or(0, |instance| instance.seed ^ 1));
    around(xml, "item", |xml| {
        push_element(xml, "reservationId", &format!("r-0{}", rng.hex(16)));
        push_element(xml, "ownerId", placement.account);
        if instances.iter().any(|i| i.tags.iter().any(|(key, _)| key == "aws:autoscaling:groupName")) {
            push_element(
                xml,
                "requesterId",
                &format!("{:012}", 100_000_000_000 + rng.below(800_000_000_000)),
            );
        }
        xml.push_str("<groupSet/>");
        around(xml, "instancesSet", |xml| {
            for (number, instance) in instances.iter().enumerate() {
                around(xml, "item", |xml| push_instance(xml, placement, instance, number));
            }
        });
    });
}

fn push_instance(xml: &mut String, placement: &Placement<'_>, instance: &Instance, launch_index: usize) {
    let mut rng = Rng::new(instance.seed);
    let launched = clock::iso_millis(instance.launched);
    let gone = matches!(instance.state.as_str(), "terminated" | "shutting-down");
    let net = net(placement, instance, &mut rng);
    let root = if instance.windows { "/dev/sda1" } else { "/dev/xvda" };
    identity(xml, instance, &net, gone, launch_index, &mut rng);
    push_element(xml, "instanceType", &instance.instance_type);
    push_element(xml, "launchTime", &launched);
    around(xml, "placement", |xml| {
        push_element(xml, "availabilityZone", &instance.zone);
        push_element(xml, "availabilityZoneId", &zone_id(placement.region, &instance.zone));
        xml.push_str("<groupName/>");
        push_element(xml, "tenancy", "default");
    });
    if instance.windows {
        push_element(xml, "platform", "windows");
    }
    around(xml, "monitoring", |xml| {
        push_element(xml, "state", if rng.percent(25) { "enabled" } else { "disabled" });
    });
    if !gone {
        push_element(xml, "subnetId", &net.subnet);
        push_element(xml, "vpcId", &net.vpc);
        push_element(xml, "privateIpAddress", &net.private);
        if let Some((ip, _)) = &net.public {
            push_element(xml, "ipAddress", ip);
        }
        if let Some(ip) = &net.ipv6 {
            push_element(xml, "ipv6Address", ip);
        }
        push_value(xml, "sourceDestCheck", true);
        groups(xml, &net);
    }
    if matches!(instance.state.as_str(), "stopped" | "terminated") {
        around(xml, "stateReason", |xml| {
            push_element(xml, "code", "Client.UserInitiatedShutdown");
            push_element(xml, "message", "Client.UserInitiatedShutdown: User initiated shutdown");
        });
    }
    push_element(xml, "architecture", if arm(&instance.instance_type) { "arm64" } else { "x86_64" });
    push_element(xml, "rootDeviceType", "ebs");
    push_element(xml, "rootDeviceName", root);
    if gone {
        xml.push_str("<blockDeviceMapping/>");
    } else {
        volumes(xml, &launched, root, &mut rng);
    }
    push_element(xml, "virtualizationType", "hvm");
    push_element(xml, "clientToken", &rng.uuid());
    tags(xml, instance);
    push_element(xml, "hypervisor", "xen");
    if gone {
        xml.push_str("<networkInterfaceSet/>");
    } else {
        around(xml, "networkInterfaceSet", |xml| interface(xml, placement, &launched, &net, &mut rng));
    }
    if let Some(profile) = &instance.profile {
        around(xml, "iamInstanceProfile", |xml| {
            let arn =
                format!("arn:{}:iam::{}:instance-profile/{profile}", placement.partition, placement.account);
            push_element(xml, "arn", &arn);
            push_element(xml, "id", &format!("AIPA{}", rng.base32(17)));
        });
    }
    settings(xml, placement, instance, &launched, &mut rng);
}

/// Appends the first members: IDs, state, names.
fn identity(
    xml: &mut String,
    instance: &Instance,
    net: &Net,
    gone: bool,
    launch_index: usize,
    rng: &mut Rng,
) {
    push_element(xml, "instanceId", &instance.id);
    push_element(xml, "imageId", &format!("ami-0{}", rng.hex(16)));
    around(xml, "instanceState", |xml| {
        push_value(xml, "code", state_code(&instance.state));
        push_element(xml, "name", &instance.state);
    });
    push_element(xml, "privateDnsName", if gone { "" } else { &net.private_name });
    push_element(xml, "dnsName", net.public.as_ref().map_or("", |(_, name)| name));
    let stopped_at = clock::iso(instance.launched + 86_400).replace('T', " ").replace('Z', " GMT");
    let reason = match instance.state.as_str() {
        "stopped" | "terminated" => format!("User initiated ({stopped_at})"),
        _ => String::new(),
    };
    push_element(xml, "reason", &reason);
    if let Some(key) = &instance.key_name {
        push_element(xml, "keyName", key);
    }
    push_value(xml, "amiLaunchIndex", launch_index);
    if rng.percent(5) {
        around(xml, "productCodes", |xml| {
            around(xml, "item", |xml| {
                push_element(xml, "productCode", &rng.hex(25));
                push_element(xml, "type", "marketplace");
            });
        });
    } else {
        xml.push_str("<productCodes/>");
    }
}

/// Appends the last members: options and billing.
fn settings(xml: &mut String, placement: &Placement<'_>, instance: &Instance, launched: &str, rng: &mut Rng) {
    push_value(xml, "ebsOptimized", !instance.instance_type.starts_with("t2"));
    push_value(xml, "enaSupport", true);
    if instance.spot {
        push_element(xml, "instanceLifecycle", "spot");
        push_element(xml, "spotInstanceRequestId", &format!("sir-{}", rng.hex(8)));
    }
    let (core_count, threads) = cores(&instance.instance_type);
    around(xml, "cpuOptions", |xml| {
        push_value(xml, "coreCount", core_count);
        push_value(xml, "threadsPerCore", threads);
    });
    around(xml, "capacityReservationSpecification", |xml| {
        push_element(xml, "capacityReservationPreference", "open");
    });
    around(xml, "hibernationOptions", |xml| push_value(xml, "configured", false));
    if instance.windows && rng.percent(50) {
        around(xml, "licenseSet", |xml| {
            around(xml, "item", |xml| {
                let arn = format!(
                    "arn:{}:license-manager:{}:{}:license-configuration:lic-{}",
                    placement.partition,
                    placement.region,
                    placement.account,
                    rng.hex(32)
                );
                push_element(xml, "licenseConfigurationArn", &arn);
            });
        });
    }
    around(xml, "metadataOptions", |xml| {
        push_element(xml, "state", "applied");
        push_element(xml, "httpTokens", if instance.imdsv1 { "optional" } else { "required" });
        push_value(xml, "httpPutResponseHopLimit", if instance.imdsv1 { 1 } else { 2 });
        push_element(xml, "httpEndpoint", "enabled");
        push_element(xml, "httpProtocolIpv6", "disabled");
        push_element(xml, "instanceMetadataTags", "disabled");
    });
    around(xml, "enclaveOptions", |xml| push_value(xml, "enabled", false));
    let arm = arm(&instance.instance_type);
    push_element(xml, "bootMode", if arm { "uefi" } else { "uefi-preferred" });
    push_element(xml, "currentInstanceBootMode", if arm { "uefi" } else { "legacy-bios" });
    push_element(xml, "platformDetails", if instance.windows { "Windows" } else { "Linux/UNIX" });
    push_element(xml, "usageOperation", if instance.windows { "RunInstances:0002" } else { "RunInstances" });
    push_element(xml, "usageOperationUpdateTime", launched);
    around(xml, "privateDnsNameOptions", |xml| {
        push_element(xml, "hostnameType", "ip-name");
        push_value(xml, "enableResourceNameDnsARecord", false);
        push_value(xml, "enableResourceNameDnsAAAARecord", false);
    });
    around(xml, "maintenanceOptions", |xml| {
        push_element(xml, "autoRecovery", "default");
        push_element(xml, "rebootMigration", "default");
    });
    around(xml, "networkPerformanceOptions", |xml| push_element(xml, "bandwidthWeighting", "default"));
    around(xml, "operator", |xml| push_value(xml, "managed", false));
}

/// Returns the ID of a zone, such as `use1-az4`.
fn zone_id(region: &str, zone: &str) -> String {
    let mut short = String::new();
    for (number, part) in region.split('-').enumerate() {
        match number {
            1 => short.push_str(match part {
                "northeast" => "ne",
                "northwest" => "nw",
                "southeast" => "se",
                "southwest" => "sw",
                other => &other[..1],
            }),
            _ => short.push_str(part),
        }
    }
    format!("{short}-az{}", 1 + zone.bytes().last().unwrap_or(b'a') % 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{InstanceSpec, Place};

    fn made(spec: InstanceSpec) -> String {
        let placement = Placement { partition: "aws", account: "012345678901", region: "eu-west-1" };
        let place = Place { account: "012345678901", region: "eu-west-1", seed: 1 };
        let mut xml = String::new();
        push_reservation(&mut xml, &placement, &[Instance::make(&place, 0, spec)]);
        xml
    }

    #[test]
    fn an_instance_is_the_same_each_time_and_of_real_size() {
        let spec =
            || InstanceSpec { name: Some("web".into()), public: true, ipv6: true, ..InstanceSpec::default() };
        let xml = made(spec());
        assert_eq!(xml, made(spec()));
        assert!((3500..8000).contains(&xml.len()), "{}", xml.len());
        for element in
            ["ipAddress", "ipv6Address", "metadataOptions", "networkInterfaceSet", "tagSet", "clientToken"]
        {
            assert!(xml.contains(&format!("<{element}>")), "{element}");
        }
    }

    #[test]
    fn a_terminated_instance_has_no_network_or_volumes() {
        let xml =
            made(InstanceSpec { state: Some("terminated".into()), public: true, ..InstanceSpec::default() });
        assert!(xml.contains("<code>48</code>") && xml.contains("<blockDeviceMapping/>"));
        assert!(!xml.contains("<vpcId>") && !xml.contains("<ipAddress>"));
    }

    #[test]
    fn types_imply_architecture_and_cores() {
        assert_eq!((arm("m7g.large"), cores("m7g.large")), (true, (2, 1)));
        assert_eq!((arm("g5.xlarge"), cores("g5.xlarge")), (false, (2, 2)));
        assert_eq!((arm("r6gd.2xlarge"), cores("r6gd.2xlarge")), (true, (8, 1)));
        assert_eq!(cores("p4d.24xlarge"), (48, 2));
        assert_eq!(zone_id("ap-southeast-2", "ap-southeast-2b"), "apse2-az3");
    }
}
