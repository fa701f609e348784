"""What is put on the path of a kernel that is a job, whatever Python that has."""
