# Image repositories. They are not part of the stack, because its first deployment needs the images.

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:images contain no secrets, and ECR encrypts them with a key it owns
  for_each             = toset(["api", "grafana"])
  name                 = "${var.name}/${each.value}"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Keep the last 30 images for rollbacks."
      selection = {
        tagStatus   = "any"
        countType   = "imageCountMoreThan"
        countNumber = 30
      }
      action = { type = "expire" }
    }]
  })
}
