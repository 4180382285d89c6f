# What Prometheus runs with: the files of monitoring/prometheus, in a parameter each.

locals {
  prometheus_directory = "${path.module}/../monitoring/prometheus"
  prometheus_file      = file("${local.prometheus_directory}/prometheus.yml")
  prometheus_yml       = yamldecode(local.prometheus_file)

  # In the sidecar the file as it is. For AMP each task needs a label of its own, and the rules are
  # evaluated there; a variable of the environment is filled in by Prometheus.
  prometheus_config = var.monitoring_backend == "sidecar" ? local.prometheus_file : yamlencode(merge(local.prometheus_yml, {
    global     = merge(local.prometheus_yml.global, { external_labels = { task = "$${TASK_ID}" } })
    rule_files = []
    remote_write = [{
      url   = "${aws_prometheus_workspace.this[0].prometheus_endpoint}api/v1/remote_write"
      sigv4 = { region = var.region }
    }]
  }))

  # By concern: rules/store.yaml is "store".
  rules = {
    for path in local.prometheus_yml.rule_files :
    trimsuffix(basename(path), ".yaml") => file("${local.prometheus_directory}/${path}")
  }
  packed_rules = { for concern, text in local.rules : concern => base64gzip(text) }

  # Values are read at start only: a new hash makes a new task.
  configuration_sha256 = sha256(join("\n", concat([local.prometheus_config], values(local.rules))))

  parameter_bytes = 4096
}

resource "aws_ssm_parameter" "prometheus_config" {
  #checkov:skip=CKV2_AWS_34:it is in the repository, and no secret
  name        = "/${var.name}/prometheus/config"
  description = "prometheus.yml."
  type        = "String"
  value       = local.prometheus_config

  lifecycle {
    precondition {
      condition     = length(local.prometheus_config) <= local.parameter_bytes
      error_message = "prometheus.yml has ${length(local.prometheus_config)} bytes; a parameter holds ${local.parameter_bytes}. Move what can be moved into a rule file."
    }
  }
}

resource "aws_ssm_parameter" "prometheus_rules" {
  #checkov:skip=CKV2_AWS_34:they are in the repository, and no secret
  for_each    = local.packed_rules
  name        = "/${var.name}/prometheus/rules/${each.key}"
  description = "rules/${each.key}.yaml, gzipped."
  type        = "String"
  value       = each.value

  lifecycle {
    precondition {
      condition     = length(each.value) <= local.parameter_bytes
      error_message = "rules/${each.key}.yaml has ${length(each.value)} bytes when it is gzipped; a parameter holds ${local.parameter_bytes}. Split it by concern."
    }
  }
}
