//! The tables, one file each: header with the call and its oddities, declaration, list call, columns.

pub(crate) mod ec2_instance;
mod ec2_shapes;
pub(crate) mod lambda_function;
pub(crate) mod s3_bucket;
