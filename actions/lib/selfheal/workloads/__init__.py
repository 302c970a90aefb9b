"""What Kubernetes objects say of their health: sick means the same to all who look, heal or
verify.
"""

SOURCE = "kubernetes"  # of the incidents that this room's judgement raises
