# Optional: adds ECS tasks when CPU is high, up to max_tasks.

locals {
  autoscaling = var.max_tasks > var.desired_count ? 1 : 0
}

resource "aws_appautoscaling_target" "task" {
  count              = local.autoscaling
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.task.name}"
  min_capacity       = var.desired_count
  max_capacity       = var.max_tasks
}

resource "aws_appautoscaling_policy" "cpu" {
  count              = local.autoscaling
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.task[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.task[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.task[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = 60

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
