def write(data, folder):
    return folder
