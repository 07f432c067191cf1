//! Volumes: made ready below the pod's directory, in the pod process's mount namespace.
