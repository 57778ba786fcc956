"""What people and dashboards are told of the datasets."""
