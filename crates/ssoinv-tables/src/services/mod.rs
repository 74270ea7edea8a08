//! The services that tables call, one file each: ID, signing name, endpoint, limits, and how to get a client.

pub(crate) mod ec2;
pub(crate) mod lambda;
pub(crate) mod organizations;
pub(crate) mod s3;

pub(crate) use ec2::Ec2;
pub(crate) use lambda::Lambda;
pub(crate) use organizations::Organizations;
pub(crate) use s3::S3;
